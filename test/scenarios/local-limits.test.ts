import { afterAll, beforeAll } from "vitest";
import { limits, limitsEnv } from "./limits.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { STUB } from "./runtimes.ts";

let home: LocalHome;

beforeAll(async () => {
  home = await startLocalHome({ env: { ...limitsEnv("stub"), LONGSHORE_RUNTIMES: "stub" } });
});
afterAll(async () => {
  await home.dispose();
});

limits({ api: () => home.api() }, STUB);

import { afterAll, beforeAll } from "vitest";
import { LIMITS_ENV, limits } from "./limits.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";

let home: LocalHome;

beforeAll(async () => {
  home = await startLocalHome({ env: { ...LIMITS_ENV, LONGSHORE_RUNTIMES: "stub" } });
});
afterAll(async () => {
  await home.dispose();
});

limits({ api: () => home.api() });

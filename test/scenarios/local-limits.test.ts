import { afterAll, beforeAll, expect } from "vitest";
import { conforming, createJudge } from "../lab/openapi.ts";
import { limits, limitsEnv } from "./limits.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { STUB } from "./runtimes.ts";

let home: LocalHome;
const checked = conforming(createJudge());

beforeAll(async () => {
  home = await startLocalHome({ env: { ...limitsEnv("stub"), LONGSHORE_RUNTIMES: "stub" } });
});
afterAll(async () => {
  await home.dispose();
  expect([...checked.seen]).toEqual(expect.arrayContaining(["submitJob 429", "submitBatch 429"]));
  expect(checked.faults).toEqual([]);
});

limits({ api: () => home.api(), fetch: checked.fetch }, STUB);

import { afterAll, beforeAll, describe, expect } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { conforming, createJudge } from "../lab/openapi.ts";
import type { Target } from "./client.ts";
import { collections } from "./collections.ts";
import { deadLetters } from "./dead-letters.ts";
import { happyLives } from "./happy.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { runs } from "./runs.ts";
import { DOCKER, dockerJob, PROCESS, processJob, STUB } from "./runtimes.ts";
import { streams } from "./streams.ts";

let home: LocalHome;
// What the scenarios ask and are answered is held to the API's own description as well.
const checked = conforming(createJudge());
const target: Target = { api: () => home.api(), fetch: checked.fetch };

beforeAll(async () => {
  home = await startLocalHome();
});
afterAll(async () => {
  await home.dispose();
  const complaints = home
    .output()
    .split("\n")
    .filter((line) => /"level":"(error|warn)"|Warning/.test(line));
  expect(complaints).toEqual([]);
  expect(checked.faults).toEqual([]);
});

describe("a local home", () => {
  happyLives(target, STUB);
  happyLives(target, PROCESS);
  collections(target, { other: "process", forever: STUB.forever });
  deadLetters(target, STUB);
  streams(target, { name: "process", job: processJob });
  runs(target, PROCESS);
});

describeWith("docker", "a local home with Docker", () => {
  happyLives(target, DOCKER);
  streams(target, { name: "docker", job: dockerJob });
});

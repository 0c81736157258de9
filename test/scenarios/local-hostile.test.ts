import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { conforming, createJudge } from "../lab/openapi.ts";
import type { Target } from "./client.ts";
import { generatedSpecs, HOSTILE_SECRET, hostileParameters, hostileRequests } from "./hostile.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "./local-home.ts";

describe("a local home under hostile requests", () => {
  let home: LocalHome;
  let places: { path: string; remove(): Promise<void> };
  const answers: string[] = [];
  const checked = conforming(createJudge());
  const target: Target = { api: () => home.api(), fetch: checked.fetch, record: (text) => answers.push(text) };
  const allowed = () => join(places.path, "allowed");

  beforeAll(async () => {
    places = await temporaryFolder();
    await mkdir(join(places.path, "outside", "deeper"), { recursive: true });
    await mkdir(allowed());
    await symlink(join(places.path, "outside"), join(allowed(), "link"));
    home = await startLocalHome({ env: { LONGSHORE_ALLOWED_MOUNTS: allowed() } });
  });
  afterAll(async () => {
    await home.dispose();
    await places.remove();
  });

  hostileRequests(target, () => ({ outside: join(places.path, "outside"), linkInside: join(allowed(), "link") }));
  hostileParameters(target);

  it("has told nobody the secret, neither in an answer nor in its log, and where its data are in no answer", () => {
    expect(answers.length).toBeGreaterThan(100);
    const told = answers.filter((text) => text.includes(HOSTILE_SECRET) || text.includes(home.data));
    expect(told).toEqual([]);
    expect(home.output()).not.toContain(HOSTILE_SECRET);
    const complaints = home
      .output()
      .split("\n")
      .filter((line) => /"level":"(error|warn)"|Warning/.test(line));
    expect(complaints).toEqual([]);
    expect(checked.faults).toEqual([]);
  });
});

describe("a local home with no real runtime", () => {
  let home: LocalHome;
  const checked = conforming(createJudge());
  const target: Target = { api: () => home.api(), fetch: checked.fetch };
  beforeAll(async () => {
    home = await startLocalHome({ env: { LONGSHORE_RUNTIMES: "stub", LONGSHORE_LOG_LEVEL: "info" } });
  });
  afterAll(async () => {
    await home.dispose();
  });

  generatedSpecs(target);

  it("has refused all that its description forbids, and answered as it says", () => {
    expect(checked.seen).toContain("submitJob 202");
    expect(checked.seen).toContain("submitJob 422");
    expect(checked.faults).toEqual([]);
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFilesystemObjects } from "../../adapters/objects/filesystem.ts";
import { checkHealth } from "../../engine/operations/health.ts";
import { type HomeParts, homeChecks } from "../../local/checks.ts";
import { openWorld, submitted, type World } from "../engine/operations/world.ts";

let world: World;
let directory: string;
let parts: HomeParts;
beforeEach(async () => {
  world = await openWorld({ maxQueued: 10 });
  directory = await mkdtemp(join(tmpdir(), "longshore-checks-"));
  const objects = createFilesystemObjects({ directory: join(directory, "objects") });
  const { clock } = world.ctx;
  parts = { objects, directory, everySeconds: 15, openedAtMs: clock(), sweptAtMs: () => undefined, clock };
  world.ctx.checks = homeChecks(parts);
});
afterEach(async () => {
  await world.dispose();
  await rm(directory, { recursive: true, force: true });
});

async function check(name: string) {
  const report = await checkHealth(world.ctx);
  expect(JSON.stringify(report)).not.toContain(directory);
  return { report, found: report.checks.find((one) => one.name === name) };
}

describe("the health of a home", () => {
  it("names what was looked at", async () => {
    const { checks, ok } = await checkHealth(world.ctx);
    expect(ok).toBe(true);
    expect(checks.map((one) => [one.name, one.ok])).toEqual(
      ["table", "stub", "queue", "objects", "disk", "sweep"].map((name) => [name, true]),
    );
  });

  it("is well with a queue that is nearly full, and says so", async () => {
    for (let n = 0; n < 8; n++) await submitted(world);
    expect((await check("queue")).found).toEqual({ name: "queue", ok: true, message: "8 of 10 jobs wait" });
    await submitted(world);
    const { report, found } = await check("queue");
    expect([report.ok, found]).toEqual([true, { name: "queue", ok: false, message: "9 of 10 jobs wait" }]);
  });

  it("tells of objects that cannot be stored, by the system's code", async () => {
    await rm(join(directory, "objects"), { recursive: true });
    await writeFile(join(directory, "objects"), "");
    const { report, found } = await check("objects");
    expect([report.ok, found?.ok]).toEqual([true, false]);
    expect(found?.message).toMatch(/^objects cannot be stored \([A-Z]+\)$/);
  });

  it("tells of a disk that cannot be looked at", async () => {
    world.ctx.checks = homeChecks({ ...parts, directory: join(directory, "gone") });
    expect((await check("disk")).found).toEqual({
      name: "disk",
      ok: false,
      message: "the disk of the data cannot be looked at (ENOENT)",
    });
  });

  it.each<{ sweptAt?: number; now: number; ok: boolean; message: string }>([
    { now: 60, ok: true, message: "no sweep has ended since the start 60 s ago" },
    { now: 61, ok: false, message: "no sweep has ended since the start 61 s ago" },
    { sweptAt: 100, now: 160, ok: true, message: "the last sweep ended 60 s ago" },
    { sweptAt: 100, now: 161, ok: false, message: "the last sweep ended 61 s ago" },
  ])("looks at how long ago a sweep ended: $message", async ({ sweptAt, now, ok, message }) => {
    const opened = world.ledger.nowMs;
    const sweptAtMs = () => (sweptAt === undefined ? undefined : opened + sweptAt * 1000);
    world.ctx.checks = homeChecks({ ...parts, sweptAtMs });
    world.ledger.nowMs = opened + now * 1000;
    expect((await check("sweep")).found).toEqual({ name: "sweep", ok, message });
  });

  it("is not well without its table, and the rest is told all the same", async () => {
    const { table } = world.ctx.ledger;
    table.get = () => Promise.reject(new Error("away"));
    table.commit = () => Promise.reject(new Error("away"));
    const { report, found } = await check("queue");
    expect(report.ok).toBe(false);
    expect(found).toEqual({ name: "queue", ok: false, message: "the queue cannot be read" });
    expect(report.checks).toHaveLength(6);
  });
});

import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { artifactId } from "../../../engine/artifacts/record.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { readArtifacts } from "../../../engine/ledger/artifacts.ts";
import { artifactObject } from "../../../engine/ledger/keys.ts";
import { admitWaiting, requeue } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { describeArtifacts, describeWholeJob } from "../../../engine/operations/describe.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { expireAttempt } from "../../../engine/operations/stop.ts";
import type { ArtifactEntry } from "../../../engine/ports/runtime.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";
import {
  eventsOf,
  executionOf,
  launched,
  lifeOf,
  openWorld,
  runExecutions,
  submitted,
  typesOf,
  type World,
} from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const files = (content: Record<string, string | number>) => ({ STUB_FILES: JSON.stringify(content) });
const OUT = { artifacts: { paths: ["/out/**"] } } satisfies JobSpecInput;

/** A job whose command has ended and left files. */
async function ended(script: Record<string, string>, spec: JobSpecInput = OUT) {
  const task = await launched(world, spec, script);
  await observeExit(world.ctx, task);
  return task;
}

const listed = async (jobId: string) => describeArtifacts(world.ctx, (await lifeOf(world, jobId)).job);
const bytesOf = async (jobId: string, name: string, attempt = 1) => {
  const object = await world.ctx.objects.get(artifactObject(jobId, attempt, artifactId(name)));
  return object === undefined ? undefined : await buffer(object.body);
};
/** Replaces what the runtime finds. */
function found(entries: () => AsyncIterable<ArtifactEntry>): void {
  world.runtime.artifacts = entries;
}
const fileOf = (path: string, text: string): ArtifactEntry => ({
  kind: "file",
  path,
  sizeBytes: Buffer.byteLength(text),
  body: (async function* () {
    yield Buffer.from(text);
  })(),
});

describe("the files of a job", () => {
  test("are stored with their hash, told in the events, and shown", async () => {
    const task = await ended(files({ "/out/a.csv": "a,b\n", "/out/x/b.bin": 70_000, "/other": "no" }));
    await finalizeAttempt(world.ctx, task);
    const { items, refused, refusedCount } = await listed(task.jobId);
    const storedAt = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(items).toEqual([
      {
        name: "out/a.csv",
        path: "/out/a.csv",
        sizeBytes: 4,
        sha256: sha256("a,b\n"),
        contentType: "text/csv",
        encoding: null,
        storedAt,
      },
      {
        name: "out/x/b.bin",
        path: "/out/x/b.bin",
        sizeBytes: 70_000,
        sha256: sha256(new Uint8Array(70_000)),
        contentType: "application/octet-stream",
        encoding: null,
        storedAt,
      },
    ]);
    expect([refused, refusedCount]).toEqual([[], 0]);
    expect((await bytesOf(task.jobId, "out/a.csv"))?.toString()).toBe("a,b\n");
    expect((await typesOf(world, task.jobId)).slice(-6)).toEqual(
      ["EXITED", "ARTIFACT_READY", "ARTIFACT_READY", "LOGS_COLLECTED", "COST_RECORDED", "SUCCEEDED"]
        .concat("CLEANED_UP")
        .slice(-6),
    );
    const events = await eventsOf(world, task.jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(events.filter(({ type }) => type === "ARTIFACT_READY").map(({ data }) => data)).toEqual(
      items.map(({ storedAt: _, ...facts }) => facts),
    );
    const job = await describeWholeJob(world.ctx, (await lifeOf(world, task.jobId)).job);
    expect(job.artifacts).toEqual(items);
  });

  test("are compressed where the spec says so: what is measured is what is stored", async () => {
    const text = "the same again\n".repeat(5000);
    const task = await ended(files({ "/out/a.txt": text }), { artifacts: { paths: ["/out/**"], gzip: true } });
    await finalizeAttempt(world.ctx, task);
    const stored = await bytesOf(task.jobId, "out/a.txt");
    expect(gunzipSync(stored!).toString()).toBe(text);
    expect((await listed(task.jobId)).items).toEqual([
      expect.objectContaining({
        name: "out/a.txt",
        contentType: "text/plain",
        encoding: "gzip",
        sizeBytes: stored!.length,
        sha256: sha256(stored!),
      }),
    ]);
    expect(stored!.length).toBeLessThan(text.length / 10);
  });

  test("are kept of a command that failed, and of one that was cancelled or ran too long", async () => {
    const failed = await ended({ ...files({ "/out/a": "x" }), STUB_EXIT_CODE: "3" });
    await finalizeAttempt(world.ctx, failed);
    expect((await listed(failed.jobId)).items).toHaveLength(1);
    const forever = { ...files({ "/out/a": "x" }), STUB_DURATION_MS: "forever" };
    const cancelled = await launched(world, OUT, forever);
    await cancelJob(world.ctx, cancelled.jobId, "somebody");
    await world.settled();
    await finalizeAttempt(world.ctx, cancelled);
    expect((await lifeOf(world, cancelled.jobId)).job.status).toBe("CANCELLED");
    expect((await listed(cancelled.jobId)).items).toHaveLength(1);
    const late = await launched(world, OUT, forever);
    world.ledger.nowMs += 3_601_000;
    await expireAttempt(world.ctx, late.jobId, 1);
    await finalizeAttempt(world.ctx, late);
    expect((await lifeOf(world, late.jobId)).job.status).toBe("TIMED_OUT");
    expect((await listed(late.jobId)).items).toHaveLength(1);
  });

  test("are none of a job that never started, and nobody looks for any", async () => {
    let asked = 0;
    found(() => {
      asked += 1;
      return (async function* () {
        yield* [];
      })();
    });
    const jobId = await submitted(world, OUT, { STUB_FAIL: "NOT_FOUND" });
    await admitWaiting(world.ctx, "stub");
    await runExecutions(world);
    expect((await lifeOf(world, jobId)).job.status).toBe("FAILED");
    expect([asked, await listed(jobId)]).toEqual([0, { items: [], refused: [], refusedCount: 0 }]);
  });

  test("of a job that asks for none cost nothing: the same commits, no event, no reading", async () => {
    const writes = world.ledger.table.commit;
    let commits = 0;
    world.ledger.table.commit = (changes) => {
      commits += 1;
      return writes(changes);
    };
    const measure = async (spec: JobSpecInput) => {
      commits = 0;
      const task = await ended(files({ "/out/a": "x" }), spec);
      await finalizeAttempt(world.ctx, task);
      return { commits, types: await typesOf(world, task.jobId) };
    };
    const without = await measure({});
    expect(without.types).not.toContain("ARTIFACT_READY");
    // Those of a job with files go with the verdict: not a commit more.
    expect((await measure(OUT)).commits).toBe(without.commits);
  });

  test("of a job that is tried again are those of its last attempt", async () => {
    const spec: JobSpecInput = { ...OUT, retry: { maxAttempts: 2, delaySeconds: 0, on: ["UNKNOWN", "USER_CODE"] } };
    const task = await ended({ ...files({ "/out/a": "x" }), STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" }, spec);
    expect(await finalizeAttempt(world.ctx, task)).toMatchObject({ retry: true });
    expect((await listed(task.jobId)).items).toHaveLength(1);
    await requeue(world.ctx, task.jobId, 1);
    expect((await listed(task.jobId)).items).toEqual([]);
    await admitWaiting(world.ctx, "stub");
    found(async function* () {
      yield fileOf("/out/second", "2");
    });
    const { token } = executionOf(world, task.jobId);
    await launchAttempt(world.ctx, { jobId: task.jobId, attempt: 2, token });
    await observeExit(world.ctx, { jobId: task.jobId, attempt: 2 });
    await finalizeAttempt(world.ctx, { jobId: task.jobId, attempt: 2 });
    expect((await listed(task.jobId)).items.map(({ name }) => name)).toEqual(["out/second"]);
    expect(await bytesOf(task.jobId, "out/a", 1)).toEqual(Buffer.from("x"));
  });
});

describe("names", () => {
  test("are unique, lead nowhere, and have no characters that a place cannot take", async () => {
    const paths = ["/a\\b", "/a\nb", "/a_b", "/A_B", "rel/../x", "///y//z/", "/\ud800", "/\u0085"];
    found(async function* () {
      for (const path of paths) yield fileOf(path, path);
    });
    const task = await ended({});
    await finalizeAttempt(world.ctx, task);
    const names = (await listed(task.jobId)).items.map(({ name }) => name);
    expect(names.sort()).toEqual(["A_B", "_", "a_b", "a_b~2", "a_b~3", "rel/x", "y/z", "\ufffd"].sort());
    const objects = await Array.fromAsync(world.ctx.objects.list(`artifacts/${task.jobId}/`));
    expect(new Set(objects.map(({ key }) => key)).size).toBe(paths.length);
  });

  test("and reasons that hold a secret value are masked everywhere; the bytes of the file are the submitter's", async () => {
    const secret = "hunter2-and-more";
    const spec: JobSpecInput = { artifacts: { paths: ["/out/**", `/gone/${secret}`] }, env: { DB_PASSWORD: secret } };
    const script = files({ [`/out/${secret}.txt`]: secret, "/out/b": "b" });
    const { STUB_FILES } = script;
    const task = await ended({}, spec);
    const { artifacts } = world.runtime;
    found(async function* () {
      yield fileOf(`/out/${secret}.txt`, secret);
      yield { kind: "refused", path: `/out/${secret}`, code: "symlink", message: `leads to ${secret}` };
    });
    await finalizeAttempt(world.ctx, task);
    expect([STUB_FILES, artifacts === undefined]).toEqual([expect.stringContaining(secret), false]);
    const { items, refused } = await listed(task.jobId);
    expect(items.map(({ name, path }) => [name, path])).toEqual([
      ["out/***REDACTED***.txt", "/out/***REDACTED***.txt"],
    ]);
    expect(refused).toEqual([{ path: "/out/***REDACTED***", code: "symlink", message: "leads to ***REDACTED***" }]);
    expect(JSON.stringify([await eventsOf(world, task.jobId), await lifeOf(world, task.jobId)])).not.toContain(secret);
    const stored = await readArtifacts(world.ledger, task.jobId, 1);
    expect(JSON.stringify(stored)).not.toContain(secret);
    expect((await bytesOf(task.jobId, stored[0]!.name))?.toString()).toBe(secret);
  });
});

describe("the byte budget", () => {
  test("refuses what does not fit, keeps what still does, and cuts nothing", async () => {
    const content = { "/out/big": 900, "/out/a": 60, "/out/b": 60, "/out/c": 40, "/out/d": 0 };
    const task = await ended(files(content), { artifacts: { paths: ["/out/**"], maxBytes: 100 } });
    await finalizeAttempt(world.ctx, task);
    const { items, refused, refusedCount } = await listed(task.jobId);
    expect(items.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ["out/a", 60],
      ["out/c", 40],
      ["out/d", 0],
    ]);
    expect(refused).toEqual([
      { path: "/out/big", code: "too_big", message: "it has 900 bytes, and artifacts.maxBytes is 100" },
      { path: "/out/b", code: "too_big", message: "it has 60 bytes, and 40 of 100 are left" },
    ]);
    expect(refusedCount).toBe(2);
    const told = (await eventsOf(world, task.jobId)).find(({ type }) => type === "LOGS_COLLECTED");
    expect(told?.data.artifacts).toEqual({ stored: 3, bytes: 100, refused, refusedCount: 2 });
  });

  test("counts files as they are, not as they are compressed", async () => {
    const content = { "/out/a": 5000, "/out/b": 6000 };
    const task = await ended(files(content), { artifacts: { paths: ["/out/**"], maxBytes: 10_000, gzip: true } });
    await finalizeAttempt(world.ctx, task);
    expect((await listed(task.jobId)).items.map(({ name }) => name)).toEqual(["out/a"]);
  });

  test("of files is a thousand; of refusals the first ones are shown and all are counted", async () => {
    const content = Object.fromEntries(Array.from({ length: 1030 }, (_, n) => [`/out/${n}`, 1]));
    const task = await launched(world, OUT, {});
    await observeExit(world.ctx, task);
    // A thousand synced files are not what this is about.
    world.ctx.objects.put = async (key, body) => {
      for await (const _ of body as AsyncIterable<Uint8Array>);
      return { key, sizeBytes: 1, storedAt: "" };
    };
    found(async function* () {
      for (const path of Object.keys(content)) yield fileOf(path, "x");
    });
    await finalizeAttempt(world.ctx, task);
    const { items, refused, refusedCount } = await listed(task.jobId);
    expect([items.length, refused.length, refusedCount]).toEqual([1000, 20, 30]);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["too_many"]));
    const events = await eventsOf(world, task.jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(events.filter(({ type }) => type === "ARTIFACT_READY")).toHaveLength(1000);
    // The job's own item stays what it was.
    expect(Buffer.byteLength(JSON.stringify((await lifeOf(world, task.jobId)).job))).toBeLessThan(4096);
  });
});

describe("a collection that is cut off", () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => `/out/${String(n).padStart(4, "0")}`);

  test("goes on where it was: what is on record is not stored again", async () => {
    const task = await ended({});
    const bodies: string[] = [];
    const noted = (path: string): ArtifactEntry => {
      const entry = fileOf(path, path);
      if (entry.kind !== "file") return entry;
      return {
        ...entry,
        body: (async function* () {
          bodies.push(path);
          yield Buffer.from(path);
        })(),
      };
    };
    found(async function* () {
      for (const path of many(120).slice(0, 110)) yield noted(path);
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away");
    });
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(await readArtifacts(world.ledger, task.jobId, 1)).toHaveLength(100);
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("collecting");
    bodies.length = 0;
    found(async function* () {
      for (const path of many(120)) yield noted(path);
    });
    await finalizeAttempt(world.ctx, task);
    expect(bodies).toEqual(many(120).slice(100));
    const { items, refusedCount } = await listed(task.jobId);
    expect(items.map(({ path }) => path)).toEqual(many(120));
    expect(refusedCount).toBe(0);
    const events = await eventsOf(world, task.jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    const ready = events.filter(({ type }) => type === "ARTIFACT_READY").map(({ data }) => data.path);
    expect(ready).toEqual(many(120));
  });

  test("by a store that takes nothing is tried again, and nothing is on record before", async () => {
    const task = await ended(files({ "/out/a": "x" }));
    const { put } = world.ctx.objects;
    world.ctx.objects.put = (key, body) =>
      key.startsWith("artifacts/")
        ? Promise.reject(new LongshoreError("UNAVAILABLE", "the object store failed"))
        : put(key, body);
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("collecting");
    world.ctx.objects.put = put;
    await finalizeAttempt(world.ctx, task);
    expect((await listed(task.jobId)).items).toHaveLength(1);
  });

  test("for good by its runtime ends the job with what there is, and says so", async () => {
    const task = await ended({});
    found(async function* () {
      yield fileOf("/out/a", "x");
      throw new LongshoreError("UNKNOWN", "docker: /var/lib/secret/path is broken");
    });
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
    const { items, refused } = await listed(task.jobId);
    expect(items).toHaveLength(1);
    expect(refused).toEqual([{ path: "/out/**", code: "unreadable", message: "the rest of the files cannot be read" }]);
  });

  test("in one file leaves that one out, and its half is nowhere", async () => {
    const task = await ended({});
    const broken = (path: string, error: Error): ArtifactEntry => ({
      kind: "file",
      path,
      sizeBytes: 10,
      body: (async function* () {
        yield Buffer.from("half");
        throw error;
      })(),
    });
    found(async function* () {
      yield broken("/out/changed", new LongshoreError("CONFLICT", "process: the file became shorter"));
      yield broken("/out/damaged", new LongshoreError("UNKNOWN", "process: a file cannot be read (EIO)"));
      yield fileOf("/out/whole", "x");
    });
    // A file that changes is no failure that may pass.
    await finalizeAttempt(world.ctx, task);
    const { items, refused } = await listed(task.jobId);
    expect(items.map(({ name }) => name)).toEqual(["out/whole"]);
    expect(refused.map(({ path, code }) => [path, code])).toEqual([
      ["/out/changed", "changed"],
      ["/out/damaged", "unreadable"],
    ]);
    expect(await bytesOf(task.jobId, "out/changed")).toBeUndefined();
  });

  test("by a second finalizer at the same time is on record once", async () => {
    const task = await ended(files(Object.fromEntries(many(130).map((path) => [path, "x"]))));
    const both = await Promise.allSettled([finalizeAttempt(world.ctx, task), finalizeAttempt(world.ctx, task)]);
    expect(both.some(({ status }) => status === "fulfilled")).toBe(true);
    if (both.some(({ status }) => status === "rejected")) await finalizeAttempt(world.ctx, task);
    const ready = (await eventsOf(world, task.jobId)).filter(({ type }) => type === "ARTIFACT_READY");
    expect(ready.map(({ data }) => data.path).sort()).toEqual(many(130));
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
  });
});

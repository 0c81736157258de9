import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import type { JobId } from "../../../engine/ids.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { logObject } from "../../../engine/ledger/keys.ts";
import { eraseRun } from "../../../engine/operations/erase-run.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { recordRun, recordRuns } from "../../../engine/operations/record-runs.ts";
import { RUN_FILES, runObject } from "../../../engine/runs/files.ts";
import type { RunReceipt } from "../../../engine/runs/receipt.ts";
import { makeHandler as recordRunsHandler } from "../../../functions/record-runs.ts";
import { createFeedPump } from "../../../local/feed-pump.ts";
import { invoke } from "../../../local/invoke.ts";
import { ENDS, ran } from "../runs/ended.ts";
import { eventsOf, launched, lifeOf, openWorld, submitted, typesOf, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

/** The home's feed reader: hands over what it has not passed yet, and again what could not be recorded. */
let position = 0;
beforeEach(() => {
  position = 0;
});
async function readFeed(): Promise<number[]> {
  const records = await world.ledger.sqlite.feed.read(position, 1000);
  const failed = await recordRuns(world.ctx, records);
  if (failed.length === 0) position = records.at(-1)?.position ?? position;
  return failed;
}

async function stored(prefix = "runs/"): Promise<string[]> {
  return (await Array.fromAsync(world.ctx.objects.list(prefix))).map(({ key }) => key);
}

async function contents(jobId: string): Promise<string[]> {
  return await Promise.all(
    RUN_FILES.map(async (file) => {
      const object = await world.ctx.objects.get(runObject(jobId, file));
      if (object === undefined) throw new Error(`there is no ${file}`);
      return Buffer.concat(await Array.fromAsync(object.body)).toString();
    }),
  );
}

async function receiptIn(jobId: string): Promise<RunReceipt> {
  return JSON.parse((await contents(jobId))[0] ?? "") as RunReceipt;
}

describe("the record of a job", () => {
  test.each(Object.entries(ENDS))("%s is stored at its place, with its last event", async (_, end) => {
    const jobId = await end(world);
    expect(await readFeed()).toEqual([]);
    expect(await stored()).toEqual([...RUN_FILES].sort().map((file) => `runs/${jobId}/${file}`));
    const receipt = await receiptIn(jobId);
    expect(receipt.status).toBe((await lifeOf(world, jobId)).job.status);
    expect(receipt.events.map(({ type }) => type)).toEqual(await typesOf(world, jobId));
  });

  test("that waits, runs, or waits for another attempt is not stored", async () => {
    await launched(world);
    const retry = { maxAttempts: 2, delaySeconds: 100, on: ["USER_CODE" as const] };
    const task = await launched(world, { retry }, { STUB_EXIT_CODE: "1" });
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    await submitted(world);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RETRYING", cleanupPending: false });
    await readFeed();
    expect(await stored()).toEqual([]);
  });

  test("whose resource cannot be removed is stored when that is gone", async () => {
    const { cleanup } = world.runtime;
    world.runtime.cleanup = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "away"));
    await expect(ran(world)).rejects.toThrow("away");
    await readFeed();
    expect(await stored()).toEqual([]);
    world.runtime.cleanup = cleanup;
    const [execution] = [...world.executions.values()];
    await finalizeAttempt(world.ctx, execution?.input as never);
    await readFeed();
    expect((await receiptIn(execution?.input.jobId ?? "")).events.at(-1)?.type).toBe("CLEANED_UP");
  });

  test("has the same bytes whenever it is stored again, however late", async () => {
    const jobId = await ran(world, {}, { STUB_EXIT_CODE: "3", STUB_STDOUT: "a line" });
    await readFeed();
    const before = await contents(jobId);
    world.ledger.nowMs += 86_400_000;
    position = 0;
    await readFeed();
    expect(await contents(jobId)).toEqual(before);
  });

  test("tells also of what came after the end", async () => {
    const jobId = await ran(world);
    await readFeed();
    const orphan = { type: "ORPHAN" as const, attempt: 1, externalName: "longshore-x", externalRef: "x" };
    await advance(world.ledger, jobId, orphan);
    await readFeed();
    expect((await receiptIn(jobId)).events.at(-1)?.type).toBe("ORPHAN_DETECTED");
  });
});

describe("a store that does not answer", () => {
  test("makes the feed's records come again, and no other job wait for ever", async () => {
    const jobId = await ran(world);
    const { put } = world.ctx.objects;
    world.ctx.objects.put = () => Promise.reject(new LongshoreError("UNAVAILABLE", "S3 is away at /a/path"));
    expect((await readFeed()).length).toBeGreaterThan(0);
    expect(JSON.stringify(world.logged)).not.toContain("/a/path");
    world.ctx.objects.put = put;
    expect(await readFeed()).toEqual([]);
    expect(await stored()).toHaveLength(3);
    expect((await receiptIn(jobId)).status).toBe("SUCCEEDED");
  });

  test("is waited for by the local home, however long it takes: nothing is passed over", async () => {
    const jobId = await ran(world);
    const { put } = world.ctx.objects;
    world.ctx.objects.put = () => Promise.reject(new LongshoreError("UNAVAILABLE", "the disk is full"));
    const handler = recordRunsHandler(world.ctx);
    let waits = 0;
    const recorded = Promise.withResolvers<void>();
    const pump = createFeedPump({
      name: "runs",
      feed: world.ledger.sqlite.feed,
      cursor: async () => 0,
      saveCursor() {
        if (waits >= 60) recorded.resolve();
      },
      handle: (records) => invoke(handler, records),
      logger: world.ctx.logger,
      // More often than a record may fail that is no good.
      async wait() {
        if (++waits === 60) world.ctx.objects.put = put;
      },
    });
    pump.start();
    await recorded.promise;
    await pump.stop();
    expect((await receiptIn(jobId)).status).toBe("SUCCEEDED");
  });

  test("and a job that can never be recorded do not hold up the others", async () => {
    const damaged = await ran(world);
    const whole = await ran(world);
    const { get } = world.ledger.table;
    world.ledger.table.get = async (key) => {
      if (key.pk === `JOB#${damaged}` && key.sk === "SPEC") throw new Error("damaged");
      return await get(key);
    };
    expect(await readFeed()).toEqual([]);
    expect((await stored()).every((key) => key.startsWith(`runs/${whole}/`))).toBe(true);
    expect(await stored()).toHaveLength(3);
  });
});

describe("a process that dies while it records", () => {
  test("is made up for by the next one, wherever it died", async () => {
    const jobId = await ran(world, {}, { STUB_EXIT_CODE: "3", STUB_STDOUT: "a line" });
    await recordRun(world.ctx, jobId, RUN_FILES);
    const expected = await contents(jobId);
    let deaths = 0;
    for (const when of ["before", "after"] as const) {
      for (let n = 1; n < 60; n++) {
        for (const key of await stored()) await world.ctx.objects.delete(key);
        world.crash.at(n, when);
        const died = await recordRun(world.ctx, jobId, RUN_FILES).then(
          () => false,
          () => true,
        );
        world.restart();
        if (!died) break;
        deaths++;
        position = 0;
        expect(await readFeed()).toEqual([]);
        expect(await contents(jobId)).toEqual(expected);
      }
    }
    expect(deaths).toBeGreaterThan(15);
  });
});

describe("a job that is erased while it is recorded", () => {
  test("leaves nothing behind", async () => {
    const jobId: JobId = await ran(world);
    const { put } = world.ctx.objects;
    let erased: Promise<void> | undefined;
    world.ctx.objects.put = async (key, body) => {
      erased ??= eraseRun(world.ctx, jobId);
      await erased;
      return await put(key, body);
    };
    await recordRun(world.ctx, jobId, RUN_FILES);
    expect(await stored("")).toEqual([]);
    expect(await eventsOf(world, jobId)).toEqual([]);
  });
});

describe("the last lines of a log", () => {
  const textsOf = async (jobId: string) => {
    await readFeed();
    return (await receiptIn(jobId)).logs.tail.map(({ text }) => text);
  };

  test("are read from its end, however long it is, and are of the last attempt", async () => {
    const texts = Array.from({ length: 3000 }, (_, n) => `line ${n} ${"x".repeat(n % 50)}`);
    const script = { STUB_EXIT_CODE: "1", STUB_STDOUT: texts.join("\n") };
    const long = await ran(world, {}, script);
    expect(await textsOf(long)).toEqual(texts.slice(-20));
    const retried = await ran(world, { retry: { maxAttempts: 2, delaySeconds: 1, on: ["USER_CODE"] } }, script);
    expect(await textsOf(retried)).toEqual(texts.slice(-20));
    expect((await receiptIn(retried)).logs).toMatchObject({ lines: 6000 });
  });

  test("are cut where they are long, and are fewer where one is longer than what is read", async () => {
    const short = await ran(world, {}, { STUB_EXIT_CODE: "1", STUB_STDOUT: `${"é".repeat(1500)}\nend` });
    expect(await textsOf(short)).toEqual([`${"é".repeat(1000)}…`, "end"]);
    const long = await ran(world, {}, { STUB_EXIT_CODE: "1", STUB_STDOUT: `first\n${"é".repeat(40_000)}\nend` });
    expect(await textsOf(long)).toEqual(["end"]);
  });

  test("are none where the log is gone or damaged, and the record is made all the same", async () => {
    const jobId = await ran(world, {}, { STUB_EXIT_CODE: "1", STUB_STDOUT: `${"a".repeat(1000)}\n`.repeat(99) });
    await world.ctx.objects.put(logObject(jobId, 1), Buffer.alloc(100_000, "x"));
    expect((await textsOf(jobId)).length).toBeLessThanOrEqual(1);
    await world.ctx.objects.delete(logObject(jobId, 1));
    position = 0;
    await readFeed();
    expect((await receiptIn(jobId)).logs.lines).toBe(100);
  });
});

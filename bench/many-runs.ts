import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSqliteTable } from "../adapters/table/sqlite/index.ts";
import type { EngineContext } from "../engine/context.ts";
import { type JobId, mintedAt, mintJobId } from "../engine/ids.ts";
import { accept } from "../engine/ledger/accept.ts";
import { advance } from "../engine/ledger/advance.ts";
import { submittedEvent } from "../engine/ledger/batch.ts";
import { openHomeRecord } from "../engine/ledger/home.ts";
import type { Ledger } from "../engine/ledger/ledger.ts";
import type { Occurrence } from "../engine/occurrences.ts";
import { recordRun } from "../engine/operations/record-runs.ts";
import type { Objects } from "../engine/ports/objects.ts";
import { RUN_FILES } from "../engine/runs/files.ts";
import { parseJobSpec } from "../engine/spec/parse.ts";
import type { TerminalStatus } from "../engine/states.ts";
import { newJob } from "../test/engine/lives.ts";

/** What the readers of the feed are called in the local home. */
const READERS = ["lifecycle", "bus", "runs"];
const AT_ONCE = 64;
const DAY_MS = 86_400_000;

/** Of a hundred jobs. */
const SHARES: readonly [TerminalStatus, number][] = [
  ["SUCCEEDED", 75],
  ["FAILED", 18],
  ["CANCELLED", 5],
  ["TIMED_OUT", 2],
];

/**
 * Fills a home's data directory with finished jobs of the last days, evenly, by the ledger's own commits and the recorder:
 * what the home would have, had it run them.
 */
export async function fillHome(directory: string, { runs, days }: { runs: number; days: number }): Promise<void> {
  const table = createSqliteTable({ file: join(directory, "ledger.db") });
  const nowMs = Date.now();
  let atMs = nowMs - days * DAY_MS;
  const ledger: Ledger = {
    table,
    clock: () => atMs,
    limits: {
      maxQueued: 1_000_000,
      maxConcurrent: () => 1_000_000,
      maxPerKey: () => 1,
      shards: 1,
      // Kept as long as the runs: what is erased is all that a run has.
      sealedRetentionSeconds: 2 * days * 86_400,
    },
  };
  const home = await openHomeRecord(ledger);
  const objects = unsynced(join(directory, "objects"));
  // What is made here asks no more of a context.
  const ctx = {
    home,
    ledger,
    objects: { ...objects, head: async () => undefined },
    logger: console,
  } as unknown as EngineContext;
  let left = runs;
  const worker = async () => {
    while (left > 0) {
      const n = runs - left--;
      atMs = nowMs - days * DAY_MS * (1 - n / runs);
      const jobId = await finished(ledger, statusOf(n));
      await recordRun(ctx, jobId, RUN_FILES);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const last = await lastPosition(table);
  for (const name of READERS) {
    await table.cursor(name);
    table.saveCursor(name, last);
  }
  await table.trimFeed();
  await table.close();
}

/** As `createFilesystemObjects` stores them, but for waiting for the disk after each of some hundred thousand files. */
function unsynced(directory: string): Pick<Objects, "put"> {
  return {
    async put(key, body) {
      const segments = key.split("/");
      const folder = join(directory, ...segments.slice(0, -1).map((segment) => `${segment}+`));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(join(folder, segments.at(-1) ?? ""), body as Uint8Array, { mode: 0o600 });
      return { key, sizeBytes: 0, storedAt: "" };
    },
  };
}

function statusOf(n: number): TerminalStatus {
  // Spread evenly, in no order that a page could profit from.
  let place = (n * 37) % 100;
  for (const [status, share] of SHARES) {
    if (place < share) return status;
    place -= share;
  }
  return "SUCCEEDED";
}

async function lastPosition(table: ReturnType<typeof createSqliteTable>): Promise<number> {
  let last = 0;
  for (;;) {
    const records = await table.feed.read(last, 10_000);
    if (records.length === 0) return last;
    last = records.at(-1)?.position ?? last;
  }
}

const spec = parseJobSpec({ name: "nightly", runtime: "stub", command: ["report"], env: { LOG_LEVEL: "info" } });

async function finished(ledger: Ledger, status: TerminalStatus): Promise<JobId> {
  const jobId = mintJobId(ledger.clock());
  const job = newJob({ jobId, createdAt: mintedAt(jobId), labels: { team: "bench" } });
  const submission = { job, redacted: spec, sealed: Buffer.alloc(400), submitted: submittedEvent(job) };
  await accept(ledger, [submission], null);
  const at = new Date(ledger.clock()).toISOString();
  const error = { category: "USER_CODE", message: "m", retryable: false, providerCode: null, exitCode: 1 } as const;
  const stop = status === "TIMED_OUT" ? "timeout" : "cancel";
  const ends: Occurrence[] = [
    { type: "ADMIT", attempt: 1, slotShard: 0 },
    { type: "DISPATCH", attempt: 1, token: "t".repeat(100), externalName: `longshore-${jobId}`, logBase: 0 },
    { type: "START", attempt: 1, externalRef: `ref-${jobId}`, startedAt: at },
    ...(status === "CANCELLED" || status === "TIMED_OUT" ? [{ type: "STOP", attempt: 1, reason: stop } as const] : []),
    {
      type: "EXIT",
      attempt: 1,
      exit: { exitCode: status === "SUCCEEDED" ? 0 : 1, oom: false, failure: null, finishedAt: at },
      startedAt: at,
      externalRef: `ref-${jobId}`,
    },
    {
      type: "FINISH",
      attempt: 1,
      outcome: { status, error: status === "FAILED" || status === "TIMED_OUT" ? error : null },
      logs: { lines: 0, bytes: 0, truncated: false },
      cost: { amountUsd: 0, basis: "local" },
      retry: null,
    },
    { type: "CLEAN", attempt: 1 },
  ];
  await advance(ledger, jobId, ends);
  return jobId;
}

import { masksKey, sealedKey } from "../../engine/ledger/keys.ts";
import { readLife } from "../../engine/ledger/read.ts";
import type { EventRecord } from "../../engine/ledger/records.ts";
import { readLogs } from "../../engine/operations/read-logs.ts";
import type { Item } from "../../engine/ports/table.ts";
import { everyEvent, storedCounters } from "../engine/ledger/fixtures.ts";
import { REFERENCED } from "./account.ts";
import type { Strike } from "./calls.ts";
import { type Course, PLAIN } from "./courses.ts";
import type { Life } from "./life.ts";

/** What a fault may add to the events of a job. */
const EXTRAS: ReadonlySet<string> = new Set(["RECONCILED"]);

const REPORTS: ReadonlySet<string> = new Set(["CONTAINER_CREATING"]);
const NONE: ReadonlySet<string> = new Set();

export interface Wanted {
  course: Course;
  /** The same job where nothing went wrong. */
  undisturbed: Life;
  strike?: Strike;
}

/** What is wrong with how a job went that should have gone as an undisturbed one; empty: nothing. */
export async function objectionsTo(life: Life, { course, undisturbed, strike }: Wanted): Promise<string[]> {
  const found: string[] = [];
  const expect = (what: string, is: unknown, should: unknown) => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(should)];
    if (a !== b) found.push(`${what}: ${a} instead of ${b}`);
  };
  const { ctx, jobId } = life;
  const { table } = ctx.ledger;
  const { job } = (await readLife(ctx.ledger, jobId)) ?? {};
  if (job === undefined) return [`there is no job ${jobId}`];
  const { status, attempt, phase, cleanupPending } = job;
  expect("the job", { status, attempt, phase, cleanupPending }, { ...course.ends, phase: null, cleanupPending: false });

  const events = await everyEvent(table, jobId);
  expect(
    "numbers of events",
    events.map(({ seq }) => seq),
    events.map((_, at) => at + 1),
  );
  // A launch whose reports were lost is not told of once more: the next one finds what it started.
  const mayLack = strike?.call.startsWith("dispatch TransactWriteItems") ? REPORTS : NONE;
  expect(
    "events",
    withoutDeferred(events).filter((type) => !EXTRAS.has(type) && !mayLack.has(type)),
    undisturbed.types.filter((type) => !mayLack.has(type)),
  );
  const ids = events.map(({ seq }) => `${jobId}#${seq}`);
  expect("events in the stream", life.committed, ids);
  expect("events on the bus", [...new Set(life.published)], ids);

  const { name } = life.runtime;
  expect(
    "starts of its attempts",
    await life.runtime.starts(jobId),
    Array.from({ length: attempt }, () => 1),
  );
  expect("left on the runtime", await life.runtime.leftovers(), []);
  const nothing = { queue: [0], slots: { [name]: [0] }, keys: { k: 0 }, lanes: {} };
  expect("counters", await storedCounters(ctx.ledger, [name], ["k"]), nothing);
  expect("active jobs", await inIndex(life, "ACTIVE"), []);
  expect("round of sweeps", await table.get({ pk: "ROUND", sk: "ROUND" }), undefined);
  expect("lease", await table.get({ pk: "LEASE#reconcile", sk: "LEASE" }), undefined);
  for (let n = 1; n <= attempt; n++) expect(`masks of attempt ${n}`, await table.get(masksKey(jobId, n)), undefined);
  expect("sealed spec expires", typeof (await table.get(sealedKey(jobId)))?.ttl, "number");
  const lines = (await Array.fromAsync(readLogs(ctx, job))).flat();
  expect(
    "log",
    lines.map(({ text }) => text),
    course.lines,
  );
  expect("last sweep", [life.reports.at(-1)?.failures, life.reports.at(-1)?.active], [[], 0]);
  const said = life.log.join("\n");
  for (const value of [PLAIN, REFERENCED]) expect("a secret in the log", said.includes(value), false);
  return found;
}

/** The types of events, without those of a launch that started nothing and was deferred. */
function withoutDeferred(events: readonly EventRecord[]): string[] {
  const types: string[] = [];
  for (const { type, data } of events) {
    if (type === "RECONCILED" && data.deferred === true) types.splice(types.lastIndexOf("ADMITTED"));
    else types.push(type);
  }
  return types;
}

async function inIndex({ ctx }: Life, pk: string): Promise<Item[]> {
  return (await ctx.ledger.table.query({ index: "index2", pk })).items;
}

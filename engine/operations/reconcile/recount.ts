import { recountKey } from "../../ledger/keys.ts";
import { everyRuntime } from "../../ledger/looks.ts";
import { recount } from "../../ledger/recount.ts";
import type { Sweep } from "./sweep.ts";

/** Counting again costs a read of every job that waits or runs, and a counter is wrong only after a fault: ms. */
const EVERY_MS = 10 * 60_000;
/** When the counters could not all be judged, because they changed all the time, ms. */
const AGAIN_MS = 60_000;

/** Now and then, or as the sweep was told, counts queue, slots, keys and lanes again and tells what was wrong. */
export async function recountWhenDue({ ctx, options, report }: Sweep): Promise<void> {
  const { recount: when = "due" } = options;
  if (when === "never") return;
  const { table } = ctx.ledger;
  const dueAtMs = Number((await table.get(recountKey))?.dueAtMs ?? 0);
  if (when === "due" && ctx.clock() < dueAtMs) return;
  const offered = ctx.runtimes.all().map(({ name }) => name);
  const { corrections, settled } = await recount(ctx.ledger, await everyRuntime(ctx.ledger, offered));
  report.corrected.push(...corrections);
  for (const correction of corrections) ctx.logger.warn(correction, "a counter was wrong and has been corrected");
  const next = ctx.clock() + (settled ? EVERY_MS : AGAIN_MS);
  await table.commit([{ kind: "patch", key: recountKey, set: { dueAtMs: next } }]);
}

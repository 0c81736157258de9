import type { EngineContext } from "../context.ts";
import { homeKey } from "../ledger/keys.ts";
import type { RuntimeAdapter } from "../ports/runtime.ts";
import { VERSION } from "../version.ts";
import { queueLength } from "./measure.ts";

/** One thing that was looked at. Its message never holds a path of the server. */
export interface HealthCheck {
  name: string;
  ok: boolean;
  message: string;
}

/** A queue that is so full is told before it refuses anybody. */
const NEARLY_FULL = 0.9;

/**
 * Healthy means: the table takes a commit, and at least one runtime answers. The other checks tell an operator what is
 * about to go wrong, and what does not work meanwhile.
 */
export async function checkHealth(
  ctx: EngineContext,
): Promise<{ ok: boolean; version: string; checks: HealthCheck[] }> {
  // The stub always answers and runs nothing: it counts only where it is all that there is.
  const real = ctx.runtimes.all().filter(({ kind }) => kind !== "stub");
  const counted = real.length > 0 ? real : ctx.runtimes.all();
  const [table, runtimes, others] = await Promise.all([
    checkTable(ctx),
    Promise.all(counted.map(checkRuntime)),
    Promise.all([checkQueue(ctx), ...(ctx.checks ?? []).map((check) => check())]),
  ]);
  const ok = table.ok && runtimes.some((check) => check.ok);
  return { ok, version: VERSION, checks: [table, ...runtimes, ...others] };
}

async function checkQueue({ ledger }: EngineContext): Promise<HealthCheck> {
  const { maxQueued } = ledger.limits;
  try {
    const jobs = await queueLength(ledger);
    return { name: "queue", ok: jobs < maxQueued * NEARLY_FULL, message: `${jobs} of ${maxQueued} jobs wait` };
  } catch {
    // The table's own check says why.
    return { name: "queue", ok: false, message: "the queue cannot be read" };
  }
}

async function checkTable({ ledger }: EngineContext): Promise<HealthCheck> {
  try {
    const checkedAt = new Date(ledger.clock()).toISOString();
    await ledger.table.commit([{ kind: "patch", key: homeKey, set: { checkedAt } }]);
    return { name: "table", ok: true, message: "the table takes commits" };
  } catch (error) {
    return { name: "table", ok: false, message: error instanceof Error ? error.message : "the table does not answer" };
  }
}

async function checkRuntime(runtime: RuntimeAdapter): Promise<HealthCheck> {
  const { ok, message } = await runtime.health();
  return { name: runtime.name, ok, message };
}

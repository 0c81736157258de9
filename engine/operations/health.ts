import type { EngineContext } from "../context.ts";
import { homeKey } from "../ledger/keys.ts";
import type { RuntimeAdapter } from "../ports/runtime.ts";
import { VERSION } from "../version.ts";

export interface HealthCheck {
  name: string;
  ok: boolean;
  message: string;
}

/** Healthy means: the table takes a commit, and at least one runtime answers. */
export async function checkHealth(
  ctx: EngineContext,
): Promise<{ ok: boolean; version: string; checks: HealthCheck[] }> {
  // The stub always answers and runs nothing: it counts only where it is all that there is.
  const real = ctx.runtimes.all().filter(({ kind }) => kind !== "stub");
  const counted = real.length > 0 ? real : ctx.runtimes.all();
  const [table, ...runtimes] = await Promise.all([checkTable(ctx), ...counted.map(checkRuntime)]);
  const ok = table.ok && runtimes.some((check) => check.ok);
  return { ok, version: VERSION, checks: [table, ...runtimes] };
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

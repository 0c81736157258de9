import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { advance } from "../ledger/advance.ts";
import { readLife } from "../ledger/read.ts";
import type { AttemptExit } from "../ledger/records.ts";
import type { RuntimeStatus } from "../ports/runtime.ts";

/**
 * Records that an attempt has ended, then completes its token. Idempotent: news that came before are ignored.
 * @param known the status, when the runtime has just told it; else it is asked.
 * @param externalRef the resource, when the ledger may not have heard of it yet.
 */
export async function observeExit(
  ctx: EngineContext,
  jobId: JobId,
  attempt: number,
  known?: RuntimeStatus,
  externalRef?: string,
): Promise<void> {
  const before = await readLife(ctx.ledger, jobId);
  const ref = externalRef ?? before?.attempt?.externalRef;
  if (before === undefined || !ref || before.job.attempt !== attempt) return;
  const status = known ?? (await ctx.runtimes.get(before.job.runtime).status(ref));
  if (status.phase !== "exited" && status.phase !== "unknown") return;
  const { life } = await advance(ctx.ledger, jobId, {
    type: "EXIT",
    attempt,
    exit: exitOf(status, new Date(ctx.clock()).toISOString()),
    startedAt: status.startedAt,
    externalRef: ref,
  });
  await completeToken(ctx, life.attempt?.token ?? null);
}

/** Completes a task token. An unknown one has been completed before, or its execution is lost and will be relaunched. */
export async function completeToken(ctx: EngineContext, token: string | null): Promise<void> {
  if (token !== null) await ctx.orchestrator.complete(token);
}

function exitOf(status: RuntimeStatus, now: string): AttemptExit {
  if (status.phase === "unknown") {
    const message = "the runtime no longer knows the attempt's container or process";
    const failure = { category: "RUNTIME_UNAVAILABLE" as const, message, providerCode: "LOST" };
    return { exitCode: null, oom: false, failure, finishedAt: now };
  }
  const { exitCode, oom, failure, finishedAt } = status;
  return { exitCode, oom, failure, finishedAt: finishedAt ?? now };
}

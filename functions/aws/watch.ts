import { CANCELLED } from "../../engine/abort.ts";
import type { EngineContext, Inflight } from "../../engine/context.ts";
import type { JobId } from "../../engine/ids.ts";
import type { Ledger } from "../../engine/ledger/ledger.ts";
import { readJob } from "../../engine/ledger/read.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { expireInBackground } from "../../engine/operations/stop.ts";
import type { Logger } from "../../engine/ports/logger.ts";

type Watched = Parameters<EngineContext["watch"]>[0];

/**
 * Waits for an attempt to end and stops it when its deadline passes, for as long as the signal lets it. What ends or is
 * due later is found by the sweep.
 */
export async function seeToEnd(ctx: EngineContext, attempt: Watched, signal: AbortSignal): Promise<void> {
  const leftMs = Math.max(0, Date.parse(attempt.deadlineAt) - ctx.clock());
  const deadline = setTimeout(() => expireInBackground(ctx, attempt), leftMs);
  try {
    const status = await ctx.runtimes.get(attempt.runtime).wait(attempt.externalRef, signal);
    await observeExit(ctx, attempt, { status });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(deadline);
  }
}

export interface HearingOptions {
  ledger: Ledger;
  logger: Logger;
  /** Between two looks at the job of a launch, milliseconds; default 2,000. */
  lookMs?: number;
}

/**
 * Launches that hear of a cancel although it is asked for in another process: their jobs are looked at while they go on.
 * A launch lasts as long as an invocation at most, and most are over before the first look.
 */
export function hearingCancels(inflight: Inflight, { ledger, logger, lookMs = 2_000 }: HearingOptions): Inflight {
  return {
    ...inflight,
    hearsOfCancels: true,
    begin(jobId, attempt) {
      const launch = inflight.begin(jobId, attempt);
      const over = new AbortController();
      launch.signal.addEventListener("abort", () => over.abort(), { once: true });
      const look = async () => {
        const isCancelled = await wasCancelled(ledger, jobId).catch((error: unknown) => {
          logger.warn({ jobId, error }, "a launch could not look for a cancel");
          return false;
        });
        if (over.signal.aborted) return;
        if (isCancelled) inflight.abort(jobId, CANCELLED);
        else timer = setTimeout(look, lookMs);
      };
      let timer = setTimeout(look, lookMs);
      over.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
      const end = () => {
        over.abort();
        launch.end();
      };
      return { signal: launch.signal, end };
    },
  };
}

async function wasCancelled(ledger: Ledger, jobId: JobId): Promise<boolean> {
  return (await readJob(ledger, jobId))?.cancelRequestedAt != null;
}

import middy from "@middy/core";
import * as z from "zod";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import { isJobId } from "../engine/ids.ts";
import { requeue } from "../engine/operations/admit.ts";
import { finalizeAttempt, type RunFailure } from "../engine/operations/finalize.ts";

const stepSchema = z.object({
  step: z.enum(["finalize", "delay", "requeue"]),
  input: z.object({
    jobId: z.string().refine(isJobId),
    attempt: z.int().min(1),
    generation: z.int().min(0),
    /** What *Run* failed with, as Step Functions' Catch puts it. */
    failure: z.object({ Error: z.string() }).optional(),
  }),
});

/** Another attempt is due: by this name the lifecycle goes on to wait for it, see `lifecycle.asl.json`. */
class RetryDue extends LongshoreError {
  constructor() {
    super("UNKNOWN", "another attempt is due");
    this.name = "RetryDue";
  }
}

/**
 * *Finalize*, *Delay* and *Requeue* of the lifecycle: judges and ends an attempt; says when the next one is due; brings the
 * job back for it. *Finalize* throws RetryDue where there is to be another attempt, and answers with nothing at a job's end.
 */
export function makeHandler(ctx: EngineContext) {
  return middy<unknown, { delaySeconds: number } | null>().handler(async (payload) => {
    const { step, input } = stepSchema.parse(payload);
    if (step === "requeue") {
      await requeue(ctx, input.jobId, input.attempt);
      return null;
    }
    // Of an attempt that was ended before this only tells the verdict again.
    const { retry, delaySeconds } = await finalizeAttempt(ctx, { ...input, failure: failureOf(input.failure) });
    if (step === "delay") return { delaySeconds };
    if (retry) throw new RetryDue();
    return null;
  });
}

function failureOf(failure: { Error: string } | undefined): RunFailure {
  if (failure === undefined) return null;
  return failure.Error === "States.Timeout" ? "timeout" : "lost";
}

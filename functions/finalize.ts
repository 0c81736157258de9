import middy from "@middy/core";
import { z } from "zod";
import type { EngineContext } from "../engine/context.ts";
import { isJobId } from "../engine/ids.ts";
import { requeue } from "../engine/operations/admit.ts";
import { finalizeAttempt, type RunFailure, type Verdict } from "../engine/operations/finalize.ts";

const stepSchema = z.object({
  step: z.enum(["finalize", "requeue"]),
  input: z.object({
    jobId: z.string().refine(isJobId),
    attempt: z.int().min(1),
    generation: z.int().min(0),
    /** What *Run* failed with, as Step Functions' Catch puts it. */
    failure: z.object({ Error: z.string() }).optional(),
  }),
});

/** *Finalize* and *Requeue* of the lifecycle: judges and ends an attempt; brings the job back for its next one. */
export function makeHandler(ctx: EngineContext) {
  return middy<unknown, Verdict | null>().handler(async (payload) => {
    const { step, input } = stepSchema.parse(payload);
    if (step === "finalize") return await finalizeAttempt(ctx, { ...input, failure: failureOf(input.failure) });
    await requeue(ctx, input.jobId, input.attempt);
    return null;
  });
}

function failureOf(failure: { Error: string } | undefined): RunFailure {
  if (failure === undefined) return null;
  return failure.Error === "States.Timeout" ? "timeout" : "lost";
}

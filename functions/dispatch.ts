import middy from "@middy/core";
import * as z from "zod";
import type { EngineContext } from "../engine/context.ts";
import { isJobId } from "../engine/ids.ts";
import { launchAttempt } from "../engine/operations/launch.ts";

const taskSchema = z.object({
  jobId: z.string().refine(isJobId),
  attempt: z.int().min(1),
  generation: z.int().min(0),
  token: z.string().min(1),
});

/** *Run* of the lifecycle: starts an attempt; its token is completed when the attempt has ended. */
export function makeHandler(ctx: EngineContext) {
  return middy<unknown, null>().handler(async (payload) => {
    await launchAttempt(ctx, taskSchema.parse(payload));
    return null;
  });
}

import middy from "@middy/core";
import * as z from "zod";
import type { EngineContext } from "../engine/context.ts";
import type { JobId } from "../engine/ids.ts";
import { observeExit } from "../engine/operations/observe.ts";
import type { ExternalRef, RuntimeStatus } from "../engine/ports/runtime.ts";

const eventSchema = z.object({ id: z.string(), source: z.string(), "detail-type": z.string(), detail: z.unknown() });

/** An event of AWS, as EventBridge delivers it: at least once, in any order. */
export type RuntimeEvent = z.infer<typeof eventSchema>;

/** What a runtime's event says of an attempt of this home. */
export interface RuntimeNews {
  jobId: JobId;
  attempt: number;
  externalRef: ExternalRef;
  status: RuntimeStatus;
}

/**
 * Reads a runtime's events; null for one that says nothing of this home's attempts. News that are older than what is
 * known must be told from newer ones here: by the version inside the event, never by when it came.
 */
export type RuntimeEventReader = (event: RuntimeEvent) => RuntimeNews | null | Promise<RuntimeNews | null>;

/** Events of runtimes, such as a task that has stopped: the end of an attempt is recorded. `readers` are by source. */
export function makeHandler(ctx: EngineContext, readers: ReadonlyMap<string, RuntimeEventReader>) {
  return middy<unknown, null>().handler(async (payload) => {
    const event = eventSchema.parse(payload);
    const news = await readers.get(event.source)?.(event);
    if (news == null) return null;
    const { jobId, attempt, externalRef, status } = news;
    ctx.logger.info({ jobId, attempt, phase: status.phase, event: event.id }, "a runtime told of an attempt");
    // What has not ended yet changes nothing, and what is unknown here may only not be known yet.
    if (status.phase === "exited") await observeExit(ctx, { jobId, attempt }, { status, externalRef });
    return null;
  });
}

import middy from "@middy/core";
import * as z from "zod";
import type { EngineContext } from "../engine/context.ts";
import { type News, observeNews } from "../engine/operations/observe.ts";

const eventSchema = z.object({ id: z.string(), source: z.string(), "detail-type": z.string(), detail: z.unknown() });

/** An event of AWS, as EventBridge delivers it: at least once, in any order. */
export type RuntimeEvent = z.infer<typeof eventSchema>;

/** Reads a runtime's events; null for one that says nothing of this home's attempts. */
export type RuntimeEventReader = (event: RuntimeEvent) => News | null | Promise<News | null>;

/** Events of runtimes, such as a task that has stopped: the end of an attempt is recorded. `readers` are by source. */
export function makeHandler(ctx: EngineContext, readers: ReadonlyMap<string, RuntimeEventReader>) {
  return middy<unknown, null>().handler(async (payload) => {
    const event = eventSchema.parse(payload);
    const news = await readers.get(event.source)?.(event);
    if (news == null) {
      ctx.logger.debug({ event: event.id }, "an event says nothing of an attempt of this home");
      return null;
    }
    const { jobId, attempt, status } = news;
    ctx.logger.info({ jobId, attempt, phase: status.phase, event: event.id }, "a runtime told of an attempt");
    await observeNews(ctx, news);
    return null;
  });
}

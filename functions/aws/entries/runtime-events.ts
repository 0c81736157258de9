import { makeHandler } from "../../runtime-events.ts";
import { createContext } from "../context.ts";
import { orchestratorOf } from "../drivers.ts";
import { eventReaders } from "../runtimes.ts";
import { invocable, serve } from "../serve.ts";

/** What runtimes of AWS tell by events. */
export const handler = serve(async (base) => {
  const ctx = await createContext(base, { orchestrator: orchestratorOf(base) });
  return invocable(makeHandler(ctx, eventReaders(base.settings, ctx.home.homeId)));
});

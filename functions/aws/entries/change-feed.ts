import { makeHandler } from "../../change-feed.ts";
import { createContext } from "../context.ts";
import { orchestratorOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { invocable, serve } from "../serve.ts";

/** What the table's stream delivers drives the lifecycle. */
export const handler = serve(async (base) =>
  feed(base.logger, invocable(makeHandler(await createContext(base, { orchestrator: orchestratorOf(base) })))),
);

import { makeHandler } from "../../query.ts";
import { front, jobIdOfPath } from "../api.ts";
import { createContext } from "../context.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { invocable, serve } from "../serve.ts";

/** Every call that reads and is no stream; also what the API has no route for. */
export const handler = serve(
  async (base) =>
    front(base.logger, invocable(makeHandler(await createContext(base, { objects: lazyObjectsOf(base) })))),
  {
    jobIdOf: jobIdOfPath,
  },
);

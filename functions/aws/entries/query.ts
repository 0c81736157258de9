import { makeHandler } from "../../query.ts";
import { front, jobIdOfPath } from "../api.ts";
import { createContext } from "../context.ts";
import { invocable, serve } from "../serve.ts";

/** Every call that reads and is no stream; also what the API has no route for. It has no log of a job to show. */
export const handler = serve(
  async (base) => front(base.logger, invocable(makeHandler(await createContext(base, {})))),
  {
    jobIdOf: jobIdOfPath,
  },
);

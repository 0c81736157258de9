import { makeHandler } from "../../submit.ts";
import { front, jobIdOfPath } from "../api.ts";
import { createContext } from "../context.ts";
import { sealerOf } from "../drivers.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { invocable, serve } from "../serve.ts";

/** Every call that changes something. Deployed twice: only what submits a job's spec again may open a sealed one. */
export const handler = serve(
  async (base) => {
    const ports = { sealer: sealerOf(base), objects: lazyObjectsOf(base) };
    return front(base.logger, invocable(makeHandler(await createContext(base, ports))));
  },
  { jobIdOf: jobIdOfPath },
);

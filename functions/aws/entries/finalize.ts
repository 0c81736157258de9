import { makeHandler } from "../../finalize.ts";
import { createContext } from "../context.ts";
import { orchestratorOf, sealerOf } from "../drivers.ts";
import { objectsOf } from "../objects.ts";
import { invocable, jobIdOfTask, serve } from "../serve.ts";

/** *Finalize*, *Delay* and *Requeue* of the lifecycle. */
export const handler = serve(
  async (base) => {
    const ports = { objects: objectsOf(base), sealer: sealerOf(base), orchestrator: orchestratorOf(base) };
    // What was stopped has to have ended before it can be collected.
    return invocable(makeHandler(await createContext(base, { ...ports, stops: "wait" })));
  },
  { jobIdOf: jobIdOfTask, answers: ["RetryDue"] },
);

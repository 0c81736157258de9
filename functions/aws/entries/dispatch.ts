import { makeHandler } from "../../dispatch.ts";
import { createContext } from "../context.ts";
import { orchestratorOf, sealerOf } from "../drivers.ts";
import { secretsOf } from "../secrets.ts";
import { invocable, jobIdOfTask, serve } from "../serve.ts";

/** *Run* of the lifecycle. */
export const handler = serve(
  async (base) => {
    const ports = { sealer: sealerOf(base), orchestrator: orchestratorOf(base), secrets: secretsOf(base) };
    return invocable(makeHandler(await createContext(base, { ...ports, watch: "wait" })));
  },
  { jobIdOf: jobIdOfTask },
);

import { makeHandler } from "../../inbound-events.ts";
import { createContext } from "../context.ts";
import { busOf, sealerOf } from "../drivers.ts";
import { invocable, serve } from "../serve.ts";

/** Events that submit a job. */
export const handler = serve(async (base) =>
  invocable(makeHandler(await createContext(base, { sealer: sealerOf(base) }), busOf(base))),
);

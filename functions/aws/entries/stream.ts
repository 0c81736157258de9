import { makeHandler as query } from "../../query.ts";
import { makeHandler as stream } from "../../stream.ts";
import { jobIdOfPath } from "../api.ts";
import { createLookingChanges } from "../changes.ts";
import { createContext } from "../context.ts";
import { sealerOf } from "../drivers.ts";
import { objectsOf } from "../objects.ts";
import { invocable, serve } from "../serve.ts";
import { type Streamed, streamify, streaming } from "../streamed.ts";

/** Events and logs of a job, as streams and as documents. */
export const handler = streamify(
  serve<Streamed, void>(
    async (base) => {
      const ctx = await createContext(base, { objects: objectsOf(base), sealer: sealerOf(base) });
      const none = { progressOf: () => null, onProgress: () => () => undefined };
      const streams = stream({ ctx, changes: createLookingChanges(), ...none });
      return streaming({ ...base, stream: streams, query: invocable(query(ctx)) });
    },
    { jobIdOf: ({ event }) => jobIdOfPath(event) },
  ),
);

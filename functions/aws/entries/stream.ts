import type { Signed } from "../../artifacts.ts";
import { makeHandler as query } from "../../query.ts";
import { makeHandler as stream } from "../../stream.ts";
import { jobIdOfPath } from "../api.ts";
import { createLookingChanges } from "../changes.ts";
import { createContext } from "../context.ts";
import { sealerOf } from "../drivers.ts";
import { objectsOf } from "../objects.ts";
import { invocable, serve } from "../serve.ts";
import { required } from "../settings.ts";
import { type Streamed, streamify, streaming } from "../streamed.ts";

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Events and logs of a job, as streams and as documents, and where its files are. */
export const handler = streamify(
  serve<Streamed, void>(
    async (base) => {
      const ctx = await createContext(base, { objects: objectsOf(base), sealer: sealerOf(base) });
      const bucket = required(base.settings, "LONGSHORE_BUCKET");
      // Only whoever asks for a file waits until what signs its address is loaded.
      const signer = once(async () => {
        const { createS3Signer } = await import("../../../adapters/objects/s3/presign.ts");
        return createS3Signer({ bucket });
      });
      const signArtifact = async (object: Signed) => (await signer())(object);
      const none = { progressOf: () => null, onProgress: () => () => undefined };
      const streams = stream({ ctx, changes: createLookingChanges(), ...none, signArtifact });
      return streaming({ ...base, stream: streams, query: invocable(query(ctx)) });
    },
    { jobIdOf: ({ event }) => jobIdOfPath(event) },
  ),
);

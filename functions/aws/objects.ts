import { createS3Objects } from "../../adapters/objects/s3/index.ts";
import type { Objects } from "../../engine/ports/objects.ts";
import type { Base } from "./context.ts";
import { required } from "./settings.ts";

/** @throws LongshoreError INTERNAL when the function was deployed without a bucket. */
export function objectsOf({ settings }: Base): Objects {
  return createS3Objects({ bucket: required(settings, "LONGSHORE_BUCKET") });
}

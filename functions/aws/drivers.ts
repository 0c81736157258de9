import { createEventbridgeBus } from "../../adapters/bus/eventbridge/index.ts";
import { createStepFunctionsOrchestrator } from "../../adapters/orchestrator/step-functions/index.ts";
import { createKmsSealer } from "../../adapters/sealer/kms/index.ts";
import type { Bus } from "../../engine/ports/bus.ts";
import type { Orchestrator } from "../../engine/ports/orchestrator.ts";
import type { Sealer } from "../../engine/ports/sealer.ts";
import type { Base } from "./context.ts";
import { required } from "./settings.ts";

// What an entry does not call is left out of its bundle, and with it the client of that service. Drivers that load a part of
// their SDK late have files of their own: a bundle keeps such a part once it has met it.

/** @throws (as all of these) LongshoreError INTERNAL when the function was deployed without what it names. */
export function sealerOf({ settings }: Base): Sealer {
  const keyId = required(settings, "LONGSHORE_SPEC_KEY");
  // A function that makes no digests is not told of the key for them.
  return createKmsSealer({ keyId, macKeyId: settings.LONGSHORE_DIGEST_KEY ?? "" });
}

export function orchestratorOf({ settings }: Base): Orchestrator {
  return createStepFunctionsOrchestrator({ stateMachineArn: required(settings, "LONGSHORE_STATE_MACHINE") });
}

export function busOf({ settings, logger }: Base): Bus {
  return createEventbridgeBus({ bus: required(settings, "LONGSHORE_BUS"), logger });
}

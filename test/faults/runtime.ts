import { createStubRuntime } from "../../adapters/runtime/stub/index.ts";
import type { Clock } from "../../engine/ports/clock.ts";
import type { Owned, RuntimeAdapter } from "../../engine/ports/runtime.ts";

/** A runtime that outlives every function, and counts what it was made to start. */
export interface WatchedRuntime {
  adapter: RuntimeAdapter;
  /** By external name, how often a command was started. */
  starts: Map<string, number>;
  /** Everything on it. */
  all(): Promise<Owned[]>;
}

export function createWatchedRuntime(homeId: string, clock: Clock): WatchedRuntime {
  const stub = createStubRuntime({ homeId, clock });
  const starts = new Map<string, number>();
  const adapter: RuntimeAdapter = {
    ...stub,
    async submit(launch, signal) {
      const known = await stub.find(launch.externalName);
      const ref = await stub.submit(launch, signal);
      if (known === undefined) starts.set(launch.externalName, (starts.get(launch.externalName) ?? 0) + 1);
      return ref;
    },
  };
  return { adapter, starts, all: () => Array.fromAsync(stub.list()) };
}

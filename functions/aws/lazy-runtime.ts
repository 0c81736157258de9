import type { RuntimeAdapter } from "../../engine/ports/runtime.ts";

/** What is known of an adapter before it is loaded. */
type About = Pick<RuntimeAdapter, "name" | "kind" | "explicitOnly" | "capabilities" | "constraints" | "check">;

/**
 * An adapter that is loaded, and with it its SDK, by the first call that needs it: most functions only ask what a runtime
 * can do, and must start fast. A load that failed is tried again by the next call.
 */
export function lazyRuntime(about: About, load: () => Promise<RuntimeAdapter>): RuntimeAdapter {
  let loaded: Promise<RuntimeAdapter> | undefined;
  const get = async (): Promise<RuntimeAdapter> => {
    loaded ??= load();
    try {
      return await loaded;
    } catch (error) {
      loaded = undefined;
      throw error;
    }
  };
  const artifacts: Pick<RuntimeAdapter, "artifacts"> = about.capabilities.artifacts
    ? {
        async *artifacts(ref, request) {
          yield* (await get()).artifacts?.(ref, request) ?? [];
        },
      }
    : {};
  return {
    ...about,
    ...artifacts,
    submit: async (launch, signal) => (await get()).submit(launch, signal),
    status: async (ref) => (await get()).status(ref),
    cancel: async (ref, graceSeconds) => (await get()).cancel(ref, graceSeconds),
    async *logs(ref, options) {
      yield* (await get()).logs(ref, options);
    },
    cleanup: async (ref) => (await get()).cleanup(ref),
    health: async () => (await get()).health(),
    find: async (externalName) => (await get()).find(externalName),
    async *list() {
      yield* (await get()).list();
    },
    wait: async (ref, signal) => (await get()).wait(ref, signal),
    async dispose() {
      if (loaded !== undefined) await (await loaded).dispose();
    },
  };
}

import type { Objects } from "../../engine/ports/objects.ts";
import type { Base } from "./context.ts";

/** The object store of a function that seldom needs it: its SDK is loaded by the first call. */
export function lazyObjectsOf(base: Base): Objects {
  let loaded: Promise<Objects> | undefined;
  const get = async (): Promise<Objects> => {
    loaded ??= import("./objects.ts").then(({ objectsOf }) => objectsOf(base));
    try {
      return await loaded;
    } catch (error) {
      loaded = undefined;
      throw error;
    }
  };
  return {
    put: async (key, body) => (await get()).put(key, body),
    get: async (key, range) => (await get()).get(key, range),
    head: async (key) => (await get()).head(key),
    delete: async (key) => (await get()).delete(key),
    async *list(prefix) {
      yield* (await get()).list(prefix);
    },
  };
}

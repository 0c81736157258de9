import type { ObjectInfo, Objects } from "../../engine/ports/objects.ts";

/** As much of an object store as the engine uses, in memory: a real one is too slow here, and is tested elsewhere. */
export function createObjects(nowMs: () => number): Objects {
  const stored = new Map<string, ObjectInfo & { bytes: Uint8Array }>();
  return {
    async put(key, body) {
      const chunks: Uint8Array[] = [];
      if (body instanceof Uint8Array) chunks.push(body);
      else for await (const chunk of body) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const info = { key, sizeBytes: bytes.length, storedAt: new Date(nowMs()).toISOString() };
      stored.set(key, { ...info, bytes });
      return info;
    },
    async get(key, { start, end } = { start: 0 }) {
      const object = stored.get(key);
      if (object === undefined) return undefined;
      const { bytes, ...info } = object;
      const part = bytes.subarray(start, end === undefined ? undefined : end + 1);
      return {
        ...info,
        body: (async function* () {
          yield part;
        })(),
      };
    },
    async head(key) {
      const object = stored.get(key);
      if (object === undefined) return undefined;
      const { bytes: _bytes, ...info } = object;
      return info;
    },
    async delete(key) {
      stored.delete(key);
    },
    async *list(prefix) {
      for (const [key, { bytes: _bytes, ...info }] of stored) if (key.startsWith(prefix)) yield info;
    },
  };
}

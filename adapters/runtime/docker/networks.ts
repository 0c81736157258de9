import { LABELS } from "../../../engine/naming.ts";
import type { Engine } from "./client.ts";
import { httpStatus } from "./errors.ts";

/** The kernel's bridge takes 1,023 ports; some of them are for containers that are just ending. */
const CONTAINERS_A_NETWORK = 800;

/** The bridges of one home, where containers reach the outside and not each other. */
export interface Networks {
  /** The id of the bridge for a container, made when it is missing. */
  idFor(externalName: string): Promise<string>;
  /** Forgets the ids: somebody removed a bridge. */
  invalidate(): void;
  /** Removes the bridges that no running container uses. */
  removeUnused(): Promise<void>;
}

/** As many bridges as `maxConcurrent` containers need; a container's bridge follows from its name. */
export function createNetworks(engine: Engine, homeId: string, maxConcurrent: number): Networks {
  const size = Math.max(1, Math.ceil(maxConcurrent / CONTAINERS_A_NETWORK));
  const ids = new Map<string, Promise<string>>();

  const named = async (name: string) => {
    const filters = { name: [name], label: [`${LABELS.home}=${homeId}`] };
    const found = await engine.call((client, abortSignal) => client.listNetworks({ filters, abortSignal }));
    // The engine's filter takes parts of names. Two processes may have made one each: all agree on the eldest.
    return found
      .filter((network) => network.Name === name)
      .sort((one, other) => one.Created.localeCompare(other.Created) || one.Id.localeCompare(other.Id));
  };
  const remove = async (id: string): Promise<void> => {
    try {
      await engine.call((client, abortSignal) => client.getNetwork(id).remove({ abortSignal }));
    } catch (error) {
      // 403: a container uses it. 404: somebody was faster.
      if (![403, 404].includes(httpStatus(error) ?? 0)) throw error;
    }
  };
  const ensure = async (name: string): Promise<string> => {
    const [there] = await named(name);
    if (there !== undefined) return there.Id;
    const made = await engine
      .call((client, abortSignal) =>
        client.createNetwork({
          Name: name,
          Driver: "bridge",
          CheckDuplicate: true,
          Labels: { [LABELS.home]: homeId },
          Options: { "com.docker.network.bridge.enable_icc": "false" },
          abortSignal,
        }),
      )
      .catch((error: unknown) => {
        if (httpStatus(error) === 409) return undefined;
        throw error;
      });
    const [eldest] = await named(name);
    if (eldest === undefined) throw new Error(`the network ${name} vanished while it was made`);
    if (made !== undefined && made.id !== eldest.Id) await remove(made.id);
    return eldest.Id;
  };

  return {
    async idFor(externalName) {
      const name = `longshore-${homeId.slice(-10).toLowerCase()}-${spread(externalName) % size}`;
      const known = ids.get(name);
      if (known !== undefined) return await known;
      const asked = ensure(name);
      ids.set(name, asked);
      try {
        return await asked;
      } catch (error) {
        ids.delete(name);
        throw error;
      }
    },
    invalidate: () => ids.clear(),
    async removeUnused() {
      // Bridges may be there from an earlier process of this home; an engine that was never asked stays unasked.
      if (!engine.isUsed()) return;
      ids.clear();
      const filters = { label: [`${LABELS.home}=${homeId}`] };
      const found = await engine.call((client, abortSignal) => client.listNetworks({ filters, abortSignal }));
      for (const network of found) await remove(network.Id);
    },
  };
}

/** An even number for a name. */
function spread(name: string): number {
  let hash = 0;
  for (const character of name) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash;
}

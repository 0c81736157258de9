import { type CircuitNews, type CircuitRecord, nextCircuit, UNTRIED } from "../circuit.ts";
import { ConflictError, type Guard } from "../ports/table.ts";
import { recordOf } from "./items.ts";
import { circuitKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

const MAX_TRIES = 20;

type Stored = CircuitRecord & { version: number };

/** The circuit of a runtime. */
export async function readCircuit({ table }: Ledger, runtime: string): Promise<CircuitRecord> {
  const item = await table.get(circuitKey(runtime));
  return item === undefined ? UNTRIED : recordOf<Stored>(item);
}

/**
 * Tells a runtime's circuit what a call of the runtime told of it; what changes nothing is not written, so that a
 * launch that goes well costs one read.
 *
 * The race that it wins: many calls fail at once, in several processes. The guard on the version lets one write through
 * at a time; the others read again and are judged anew, so that one outage opens the circuit once.
 *
 * @returns the circuit before and after; the same object when nothing changed.
 */
export async function tellCircuit(
  ledger: Ledger,
  runtime: string,
  news: CircuitNews,
): Promise<{ before: CircuitRecord; after: CircuitRecord }> {
  const key = circuitKey(runtime);
  for (let tries = 1; ; tries++) {
    const item = await ledger.table.get(key);
    const before = item === undefined ? UNTRIED : recordOf<Stored>(item);
    const after = nextCircuit(before, news, ledger.clock());
    if (after === before) return { before, after };
    const version = Number(item?.version ?? 0);
    const guard: Guard = item === undefined ? { exists: false } : { equals: { version } };
    try {
      await ledger.table.commit([{ kind: "put", item: { ...key, ...after, version: version + 1 }, guard }]);
      return { before, after };
    } catch (error) {
      if (!(error instanceof ConflictError) || tries >= MAX_TRIES) throw error;
    }
  }
}

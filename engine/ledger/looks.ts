import { ConflictError, type Item, type Page } from "../ports/table.ts";
import { RUNTIMES_PARTITION, runtimeKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

/**
 * Notes that everything that ran on a runtime before this time (ms since the epoch) was seen alive at it: one item a
 * runtime, however many jobs run there. It never goes back: a look that was told late changes nothing.
 */
export async function noteLook({ table }: Ledger, runtime: string, beganAtMs: number): Promise<void> {
  const guard = { atMost: { seenAliveAtMs: beganAtMs } };
  try {
    await table.commit([{ kind: "patch", key: runtimeKey(runtime), set: { seenAliveAtMs: beganAtMs }, guard }]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}

/** When everything that ran on a runtime was last seen alive, ms since the epoch; 0 when it never was. */
export async function seenAliveAtMs({ table }: Ledger, runtime: string): Promise<number> {
  return Number((await table.get(runtimeKey(runtime)))?.seenAliveAtMs ?? 0);
}

/**
 * The names of all runtimes whose jobs the ledger may hold: those given, and those that it remembers from when they were
 * offered. Remembers those given.
 */
export async function everyRuntime({ table }: Ledger, offered: readonly string[]): Promise<string[]> {
  const known = new Set((await readAll(table)).map(({ sk }) => sk));
  for (const runtime of offered) {
    if (known.has(runtime)) continue;
    // Not a put: a look may have noted the runtime meanwhile.
    await table.commit([{ kind: "patch", key: runtimeKey(runtime), set: { offered: true } }]);
    known.add(runtime);
  }
  return [...known];
}

async function readAll(table: Ledger["table"]): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await table.query(
      cursor === undefined ? { pk: RUNTIMES_PARTITION } : { pk: RUNTIMES_PARTITION, cursor },
    );
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return items;
}

import type { Item } from "../ports/table.ts";
import type { Ledger } from "./ledger.ts";

/** Whether an item's time to live is over: a table removes it some time later, and until then it may still be read. */
export function isExpired({ clock }: Pick<Ledger, "clock">, item: Item): boolean {
  return item.ttl !== undefined && item.ttl * 1000 <= clock();
}

/** The item, unless its time to live is over. */
export function unexpired(ledger: Pick<Ledger, "clock">, item: Item | undefined): Item | undefined {
  return item === undefined || isExpired(ledger, item) ? undefined : item;
}

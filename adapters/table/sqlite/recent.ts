import type { Key } from "../../../engine/ports/table.ts";
import type { RowValues } from "./rows.ts";

/** A key as one text; no two keys share one. */
export const identityOf = ({ pk, sk }: Key): string => `${pk.length} ${pk}${sk}`;

/** What an entry costs besides its body. */
const ENTRY_BYTES = 512;

export interface Recent {
  /** The row, null when it is known that there is none, undefined when that is not known. */
  get(identity: string): RowValues | null | undefined;
  set(identity: string, row: RowValues | null): void;
}

/**
 * The rows that were read or written lately, as they were committed: those of the jobs that are under way, and the
 * counters, are read many times for once that they are written. Valid because nobody else writes to the file. Rows, not
 * items: objects that live this long cost the garbage collector more than parsing them again costs.
 * @param maxBytes about how much it holds. What was not used while half of that came in is forgotten.
 */
export function createRecent(maxBytes: number): Recent {
  let young = new Map<string, RowValues | null>();
  let old = new Map<string, RowValues | null>();
  let bytes = 0;

  function set(identity: string, row: RowValues | null): void {
    young.set(identity, row);
    bytes += ENTRY_BYTES + (row === null ? 0 : row[7].length);
    if (bytes < maxBytes / 2) return;
    old = young;
    young = new Map();
    bytes = 0;
  }

  return {
    get(identity) {
      const known = young.get(identity);
      if (known !== undefined) return known;
      const before = old.get(identity);
      if (before !== undefined) set(identity, before);
      return before;
    },
    set,
  };
}

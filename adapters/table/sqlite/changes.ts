import type { Change, Guard, Item, Key } from "../../../engine/ports/table.ts";
import { checkChanges, copyOf, misuse } from "../../../engine/table/changes.ts";
import { type RowValues, toRow } from "./rows.ts";

/** A change as its caller meant it when it was given: nothing that is done to the caller's own alters it. */
export type OwnChange =
  | { kind: "put"; key: Key; guard: Guard | undefined; row: RowValues }
  | (Change & { kind: "patch" | "delete" | "check" });

/**
 * A private copy of the changes, so that nothing the caller does before the group commits can alter them.
 * @throws LongshoreError INTERNAL for more than MAX_CHANGES, a key twice, a bad key, or values that JSON cannot hold.
 */
export function snapshot(changes: Change[]): OwnChange[] {
  checkChanges(changes);
  return changes.map(own);
}

function own(change: Change): OwnChange {
  if (change.kind !== "put") return copyOf(change);
  const { item, guard } = change;
  return { kind: "put", key: { pk: item.pk, sk: item.sk }, guard: guard && copyOf(guard), row: toRow(item) };
}

/**
 * The item after a patch.
 * @throws LongshoreError INTERNAL when `add` meets an attribute that is no number.
 */
export function patched(change: Change & { kind: "patch" }, current: Item | undefined): Item {
  const next: Item = current === undefined ? { ...change.key } : { ...current };
  Object.assign(next, change.set);
  for (const [name, delta] of Object.entries(change.add ?? {})) {
    const before = next[name] ?? 0;
    if (typeof before !== "number") throw misuse(`cannot add to attribute ${name}: it is no number`);
    next[name] = before + delta;
  }
  for (const name of change.remove ?? []) delete next[name];
  return next;
}

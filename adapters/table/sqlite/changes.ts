import { type Change, type Guard, type Item, type Key, MAX_CHANGES } from "../../../engine/ports/table.ts";
import { identityOf } from "./recent.ts";
import { checkKey, misuse, type RowValues, toJson, toRow } from "./rows.ts";

/** A change as its caller meant it when it was given: nothing that is done to the caller's own alters it. */
export type OwnChange =
  | { kind: "put"; key: Key; guard: Guard | undefined; row: RowValues }
  | (Change & { kind: "patch" | "delete" | "check" });

/**
 * A private copy of the changes, so that nothing the caller does before the group commits can alter them.
 * @throws LongshoreError INTERNAL for more than MAX_CHANGES, a key twice, a bad key, or values that JSON cannot hold.
 */
export function snapshot(changes: Change[]): OwnChange[] {
  if (changes.length > MAX_CHANGES) throw misuse(`${changes.length} changes in one commit; ${MAX_CHANGES} at most`);
  const seen = new Set<string>();
  for (const change of changes) {
    const identity = identityOf(checkKey(change.kind === "put" ? change.item : change.key, "a change"));
    if (seen.has(identity)) throw misuse("two changes of one commit have the same key");
    seen.add(identity);
    if (change.kind === "patch") checkPatch(change);
  }
  return changes.map(own);
}

function own(change: Change): OwnChange {
  if (change.kind !== "put") return JSON.parse(toJson(change));
  const { item, guard } = change;
  const key = { pk: item.pk, sk: item.sk };
  return { kind: "put", key, guard: guard && JSON.parse(toJson(guard)), row: toRow(item) };
}

function checkPatch(change: Change & { kind: "patch" }): void {
  const names = new Set<string>();
  for (const name of [...Object.keys(change.set ?? {}), ...Object.keys(change.add ?? {}), ...(change.remove ?? [])]) {
    if (name === "pk" || name === "sk") throw misuse("a patch cannot change the item's key");
    if (names.has(name)) throw misuse(`a patch touches attribute ${name} twice`);
    names.add(name);
  }
}

/** Whether the guard holds for the item as it is now. */
export function holds(guard: Guard | undefined, current: Item | undefined): boolean {
  if (guard === undefined) return true;
  if (guard.exists !== undefined && guard.exists !== (current !== undefined)) return false;
  for (const [name, value] of Object.entries(guard.equals ?? {})) {
    if (current === undefined || current[name] !== value) return false;
  }
  for (const [name, bound] of Object.entries(guard.atMost ?? {})) {
    const value = current?.[name] ?? 0;
    if (typeof value !== "number" || value > bound) return false;
  }
  return true;
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

import type { Change, Item } from "../../../engine/ports/table.ts";
import { misuse } from "../../../engine/table/changes.ts";

/**
 * The item after a put or a patch.
 * @throws LongshoreError INTERNAL when `add` meets an attribute that is no number.
 */
export function applied(change: Change & { kind: "put" | "patch" }, current: Item | undefined): Item {
  if (change.kind === "put") return change.item;
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

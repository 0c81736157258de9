import { LongshoreError } from "../../../engine/errors.ts";
import { ConflictError, type Item, type Key } from "../../../engine/ports/table.ts";
import { holds, type OwnChange, patched } from "./changes.ts";
import { type RowValues, toItem, toRow } from "./rows.ts";

const EVENT_PREFIX = "EVENT#";

/** What becomes of one item; null: it is deleted. */
export interface Step {
  key: Key;
  row: RowValues | null;
  /** The change feed gets it. */
  isNewEvent: boolean;
}

const isEvent = ({ sk }: Key): boolean => sk.startsWith(EVENT_PREFIX);

/** Whether what a change does depends on the item that is there. */
function dependsOnCurrent(change: OwnChange): boolean {
  return change.guard !== undefined || change.kind === "patch" || (change.kind === "put" && isEvent(change.key));
}

/** What one commit would write, or why it is refused. */
export function plan(
  changes: OwnChange[],
  read: (key: Key) => RowValues | undefined,
): { steps: Step[] } | { refusal: Error } {
  const reads = (change: OwnChange): Item | undefined => {
    const row = read(change.key);
    return row === undefined ? undefined : toItem(row);
  };
  const current = changes.map((change) => (dependsOnCurrent(change) ? reads(change) : undefined));
  const failed = changes.flatMap((change, at) => (holds(change.guard, current[at]) ? [] : [at]));
  if (failed.length > 0) return { refusal: new ConflictError(changes.map(reads), failed) };
  const steps: Step[] = [];
  for (const [at, change] of changes.entries()) {
    if (change.kind === "check") continue;
    const before = current[at];
    try {
      const isNewEvent = change.kind !== "delete" && before === undefined && isEvent(change.key);
      steps.push({ key: change.key, row: rowAfter(change, before), isNewEvent });
    } catch (refusal) {
      if (refusal instanceof LongshoreError) return { refusal };
      throw refusal;
    }
  }
  return { steps };
}

function rowAfter(change: OwnChange, before: Item | undefined): RowValues | null {
  if (change.kind === "put") return change.row;
  return change.kind === "patch" ? toRow(patched(change, before)) : null;
}

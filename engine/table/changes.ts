import { LongshoreError } from "../errors.ts";
import { type Change, type Guard, type Item, type Key, MAX_CHANGES } from "../ports/table.ts";

/** A misuse of the table by Longshore's own code: never the caller of the API's fault. */
export function misuse(message: string): LongshoreError {
  return new LongshoreError("INTERNAL", `table: ${message}`);
}

export function keyOf(change: Change): Key {
  return change.kind === "put" ? change.item : change.key;
}

/** A key as one text; no two keys share one. */
export const identityOf = ({ pk, sk }: Key): string => `${pk.length} ${pk}${sk}`;

/** @throws LongshoreError INTERNAL unless both parts are non-empty, well-formed text. */
export function checkKey(key: unknown, what: string): Key {
  if (typeof key === "object" && key !== null && "pk" in key && "sk" in key) {
    const { pk, sk } = key;
    if (isKeyPart(pk) && isKeyPart(sk)) return { pk, sk };
  }
  throw misuse(`${what} must have a non-empty text as pk and as sk`);
}

// A lone surrogate has no UTF-8 form: two different keys would become one.
function isKeyPart(part: unknown): part is string {
  return typeof part === "string" && part !== "" && part.isWellFormed();
}

/**
 * What can be said of a commit before its items are looked at.
 * @throws LongshoreError INTERNAL for more than MAX_CHANGES, a key twice, a bad key, or a patch that contradicts itself.
 */
export function checkChanges(changes: Change[]): void {
  if (changes.length > MAX_CHANGES) throw misuse(`${changes.length} changes in one commit; ${MAX_CHANGES} at most`);
  const seen = new Set<string>();
  for (const change of changes) {
    const identity = identityOf(checkKey(keyOf(change), "a change"));
    if (seen.has(identity)) throw misuse("two changes of one commit have the same key");
    seen.add(identity);
    if (change.kind === "patch") checkPatch(change);
  }
}

function checkPatch(change: Change & { kind: "patch" }): void {
  const names = new Set<string>();
  for (const name of [...Object.keys(change.set ?? {}), ...Object.keys(change.add ?? {}), ...(change.remove ?? [])]) {
    if (name === "pk" || name === "sk") throw misuse("a patch cannot change the item's key");
    if (names.has(name)) throw misuse(`a patch touches attribute ${name} twice`);
    names.add(name);
  }
}

/** What belongs to the table itself in an item, checked, apart from its other attributes. */
export interface ItemParts {
  key: Key;
  index1: Key | undefined;
  index2: Key | undefined;
  ttl: number | undefined;
  attributes: Record<string, unknown>;
}

/** @throws LongshoreError INTERNAL for a bad key, index key or ttl. */
export function partsOf(item: Item): ItemParts {
  const { pk: _pk, sk: _sk, index1, index2, ttl, ...attributes } = item;
  const key = checkKey(item, "an item");
  if (ttl !== undefined) checkTtl(ttl);
  return {
    key,
    index1: index1 === undefined ? undefined : checkKey(index1, "index1"),
    index2: index2 === undefined ? undefined : checkKey(index2, "index2"),
    ttl,
    attributes,
  };
}

/** @throws LongshoreError INTERNAL unless it is whole seconds. */
export function checkTtl(ttl: unknown): number {
  if (typeof ttl === "number" && Number.isSafeInteger(ttl)) return ttl;
  throw misuse("ttl must be whole seconds");
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
 * A private copy, as JSON holds it, so that nothing its owner does later can alter it.
 * @throws LongshoreError INTERNAL for what JSON cannot hold.
 */
export function copyOf<T extends object>(value: T): T {
  return JSON.parse(toJson(value));
}

/** @throws LongshoreError INTERNAL for what JSON cannot hold: a cycle, a bigint, a number that is not finite. */
export function toJson(value: object): string {
  try {
    const text = JSON.stringify(value);
    // JSON.stringify turns NaN and Infinity into null without a word; DynamoDB refuses them.
    if (text.includes("null")) checkFinite(value);
    return text;
  } catch (thrown) {
    if (thrown instanceof LongshoreError) throw thrown;
    throw misuse(`attributes are not JSON: ${thrown instanceof TypeError ? "a cycle or a bigint" : "unknown"}`);
  }
}

function checkFinite(value: unknown): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw misuse("a number is not finite");
  if (typeof value === "object" && value !== null) for (const member of Object.values(value)) checkFinite(member);
}

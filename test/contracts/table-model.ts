import fc from "fast-check";
import type { Change, Guard, Item } from "../../engine/ports/table.ts";

const place = fc.record({ pk: fc.constantFrom("a", "b"), sk: fc.constantFrom("1", "2", "é", "\u{1F600}") });
const attribute = fc.constantFrom("x", "y", "z");
const scalar = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom("", "s", "3"), fc.boolean());
// Only what every table can hold: DynamoDB's numbers end long before JavaScript's.
const value = fc.oneof(
  scalar,
  fc.object({ values: [fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean(), fc.constant(null)], maxDepth: 2 }),
);
const guard: fc.Arbitrary<Guard> = fc.oneof(
  fc.record({ exists: fc.boolean() }),
  fc.record({ equals: fc.dictionary(attribute, scalar, { maxKeys: 1 }) }),
  fc.record({ atMost: fc.dictionary(fc.constant("n"), fc.integer({ min: -2, max: 4 })) }),
);
const guarded = { guard: fc.option(guard, { nil: undefined, freq: 2 }) };
const change = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    item: fc.tuple(place, fc.dictionary(attribute, value)).map(([at, rest]): Item => ({ ...rest, ...at })),
    ...guarded,
  }),
  fc.record({
    kind: fc.constant("patch" as const),
    key: place,
    set: fc.dictionary(fc.constantFrom("x", "y"), value),
    add: fc.dictionary(fc.constant("n"), fc.integer({ min: -2, max: 3 })),
    remove: fc.uniqueArray(fc.constant("z")),
    ...guarded,
  }),
  fc.record({ kind: fc.constant("delete" as const), key: place, ...guarded }),
  fc.record({ kind: fc.constant("check" as const), key: place, guard }),
);

const placeOf = (one: { kind: string; key?: { pk: string; sk: string }; item?: Item }): string =>
  JSON.stringify([(one.key ?? one.item)?.pk, (one.key ?? one.item)?.sk]);

/** One to four changes with distinct keys; `n` is only ever a number. */
export const arbitraryCommit: fc.Arbitrary<Change[]> = fc
  .uniqueArray(change, { minLength: 1, maxLength: 4, selector: placeOf })
  .map((changes) =>
    changes.map((one) => {
      const { guard: condition, ...rest } = one;
      return (condition === undefined ? rest : one) as Change;
    }),
  );

// What went through JSON has no negative zero.
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** A table as a plain map, written apart from any driver. */
export function createModel(): { commit(changes: Change[]): number[]; partition(pk: string): Item[] } {
  const items = new Map<string, Item>();
  const allows = (condition: Guard | undefined, item: Item | undefined): boolean =>
    (condition?.exists === undefined || condition.exists === (item !== undefined)) &&
    Object.entries(condition?.equals ?? {}).every(([name, value]) => item?.[name] === value) &&
    Object.entries(condition?.atMost ?? {}).every(([name, bound]) => Number(item?.[name] ?? 0) <= bound);
  return {
    commit(changes) {
      const failed = changes.flatMap((one, at) => (allows(one.guard, items.get(placeOf(one))) ? [] : [at]));
      if (failed.length > 0) return failed;
      for (const one of changes) {
        const at = placeOf(one);
        if (one.kind === "delete") items.delete(at);
        if (one.kind === "put") items.set(at, plain(one.item) as Item);
        if (one.kind === "patch") {
          const next: Item = { ...(items.get(at) ?? one.key), ...(plain(one.set ?? {}) as object) };
          for (const [name, delta] of Object.entries(one.add ?? {})) next[name] = Number(next[name] ?? 0) + delta;
          for (const name of one.remove ?? []) delete next[name];
          items.set(at, next);
        }
      }
      return [];
    },
    partition: (pk) =>
      [...items.values()]
        .filter((item) => item.pk === pk)
        .sort((a, b) => Buffer.compare(Buffer.from(a.sk), Buffer.from(b.sk))),
  };
}

/** A JSON Schema as far as the API's description uses it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  propertyNames?: Schema;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  uniqueItems?: boolean;
}

/** Texts of which most patterns take none. */
const TEXTS = [
  "",
  " ",
  "..",
  "/../etc",
  "a b",
  "-a",
  "a-",
  "A=B",
  "a:b:c",
  "\u0007",
  "é",
  "x".repeat(5000),
  "💣",
  "null",
];

/** A value that a schema forbids: the whole of it, with what is wrong at which place. */
export interface Forbidden {
  path: string;
  what: string;
  value: unknown;
}

type Resolve = (schema: Schema) => Schema;

/**
 * What a schema forbids, member by member: each value is a good one with one part replaced.
 * @param good a value that the schema allows; members that it lacks are made up.
 */
export function forbiddenBy(schema: Schema, good: unknown, document: object): Forbidden[] {
  const resolve = (one: Schema): Schema => {
    if (one.$ref === undefined) return one;
    const parts = one.$ref.replace(/^#\//, "").split("/");
    return resolve(parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], document) as Schema);
  };
  return [...walk(resolve(schema), { good, path: [], whole: (value) => value }, resolve)];
}

interface Place {
  good: unknown;
  path: string[];
  /** The whole value with another one in this place. */
  whole(value: unknown): unknown;
}

function* walk(schema: Schema, { good, path, whole }: Place, resolve: Resolve): Generator<Forbidden> {
  for (const [what, value] of leaves(schema, good)) yield { path: path.join("."), what, value: whole(value) };
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const inner = resolve(member);
    const given = (good as Record<string, unknown>)[name] ?? sample(inner, resolve);
    const around = (value: unknown) => whole({ ...(good as object), [name]: value });
    yield* walk(inner, { good: given, path: [...path, name], whole: around }, resolve);
  }
  if (schema.items === undefined) return;
  const item = resolve(schema.items);
  const given = (good as unknown[])[0] ?? sample(item, resolve);
  yield* walk(item, { good: given, path: [...path, "0"], whole: (value) => whole([value]) }, resolve);
}

/** What is wrong in place of the value itself. */
function leaves(schema: Schema, good: unknown): [what: string, value: unknown][] {
  const found: [string, unknown][] = [];
  const { type } = schema;
  if (typeof type === "string") {
    const others: Record<string, unknown> = {
      string: "x",
      number: 0.5,
      boolean: true,
      object: {},
      array: [],
      null: null,
    };
    for (const [name, value] of Object.entries(others)) {
      if (name === type || (type === "integer" && name === "number")) continue;
      found.push([`${name} instead of ${type}`, value]);
    }
  }
  if (type === "integer") found.push(["half", 0.5]);
  if (schema.minimum !== undefined) found.push(["below", schema.minimum - 1]);
  if (schema.exclusiveMinimum !== undefined) found.push(["not above", schema.exclusiveMinimum]);
  if (schema.maximum !== undefined) found.push(["above", schema.maximum + 1]);
  if (schema.enum !== undefined) found.push(["not one of them", "no-such-value"]);
  if (type === "string") {
    const { pattern = "", minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
    const allowed = new RegExp(pattern, "u");
    for (const text of [...TEXTS, "x".repeat(Math.min(maxLength, 200_000) + 1)]) {
      const length = [...text].length;
      if (!allowed.test(text) || length < minLength || length > maxLength) found.push([`text of ${length}`, text]);
    }
  }
  if (type === "array" && Array.isArray(good)) {
    const { maxItems, minItems = 0, uniqueItems } = schema;
    if (minItems > 0) found.push(["empty", []]);
    if (maxItems !== undefined && maxItems < 1000) found.push(["too many", Array(maxItems + 1).fill(good[0])]);
    if (uniqueItems === true) found.push(["twice", [good[0], good[0]]]);
  }
  if (type === "object") {
    if (schema.additionalProperties === false) found.push(["unknown key", { ...(good as object), nobodyKnows: 1 }]);
    for (const name of schema.required ?? []) {
      const { [name]: _, ...rest } = (good ?? {}) as Record<string, unknown>;
      found.push([`without ${name}`, rest]);
    }
    const { maxProperties, propertyNames, additionalProperties } = schema;
    if (typeof additionalProperties === "object") found.push(["number in a map", { A: 1 }]);
    if (propertyNames !== undefined) found.push(["key", { "": "x" }]);
    if (maxProperties !== undefined) {
      found.push(["many", Object.fromEntries(Array.from({ length: maxProperties + 1 }, (_, n) => [`k${n}`, "x"]))]);
    }
  }
  return found;
}

/** Some value that a schema allows, for a member that an example does not have. */
function sample(schema: Schema, resolve: Resolve): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case "object":
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [name, sample(resolve(schema.properties?.[name] ?? {}), resolve)]),
      );
    case "array":
      return [sample(resolve(schema.items ?? {}), resolve)];
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 1, 1);
    case "boolean":
      return true;
    default: {
      const allowed = new RegExp(schema.pattern ?? "", "u");
      const candidates = ["a", "/a", "A", "env:A", "1000:1000"];
      return candidates.find((text) => allowed.test(text)) ?? "";
    }
  }
}

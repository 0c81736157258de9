import * as z from "zod";

/** A schema in the words of JSON Schema, draft 2020-12. */
export type JsonSchema = Record<string, unknown>;

/** Whether a schema is of what is sent (defaults may be left out) or of what comes back (they are there). */
export type Direction = "input" | "output";

const COMPONENTS = "#/components/schemas/";

/** Schemas that the description gives a name, and in which direction they go. */
export interface Components {
  add<T extends z.ZodType>(id: string, schema: T, direction?: Direction): T;
  /** All of them as JSON Schema, by their names. */
  schemas(): Record<string, JsonSchema>;
  /** A schema as JSON Schema, with references to the named ones inside of it. */
  inline(schema: z.ZodType, direction: Direction): JsonSchema;
}

/** Makes an empty set of named schemas. */
export function createComponents(): Components {
  const registries = { input: z.registry<{ id: string }>(), output: z.registry<{ id: string }>() };
  const made = (direction: Direction) => ({
    io: direction,
    uri: (id: string) => COMPONENTS + id,
    override: (context: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }) => put(context.jsonSchema),
  });
  return {
    add(id, schema, direction = "output") {
      registries[direction].add(schema, { id });
      return schema;
    },
    schemas() {
      const all = (["input", "output"] as const).map(
        (direction) => z.toJSONSchema(registries[direction], made(direction)).schemas,
      );
      const entries = all.flatMap((schemas) => Object.entries(schemas as Record<string, JsonSchema>));
      return Object.fromEntries(
        entries.map(([id, schema]) => [id, bare(schema)] as const).sort(([a], [b]) => a.localeCompare(b)),
      );
    },
    inline(schema, direction) {
      const id = registries[direction].get(schema)?.id;
      return id === undefined ? bare(z.toJSONSchema(schema, made(direction))) : { $ref: COMPONENTS + id };
    },
  };
}

/** Without what only a schema that stands alone needs. */
function bare({ $schema: _dialect, $id: _id, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

/**
 * What one schema is written as: `json` of its metadata in its place, an unbounded whole number without the bounds of
 * JavaScript's, a nullable type in one word.
 */
function put(schema: JsonSchema): void {
  const { json, ...rest } = schema;
  if (json !== undefined) {
    for (const key of Object.keys(schema)) if (key !== "description" && key !== "default") delete schema[key];
    Object.assign(schema, json);
  }
  if (rest.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (rest.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (!Array.isArray(rest.anyOf) || rest.anyOf.length !== 2) return;
  const [first, second] = rest.anyOf as [JsonSchema, JsonSchema];
  if (second.type !== "null" || typeof first.type !== "string") return;
  delete schema.anyOf;
  const values = Array.isArray(first.enum) ? { enum: [...first.enum, null] } : {};
  Object.assign(schema, first, values, { type: [first.type, "null"] }, described(first, rest));
}

function described(inner: JsonSchema, outer: JsonSchema): JsonSchema {
  const description = outer.description ?? inner.description;
  return description === undefined ? {} : { description };
}

/** The same schema in which objects may have members that it does not name: those that a later version adds. */
export function opened<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(opened) as T;
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).filter(([key, value]) => key !== "additionalProperties" || value !== false);
  return Object.fromEntries(members.map(([key, value]) => [key, opened(value)])) as T;
}

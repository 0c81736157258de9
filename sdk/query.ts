/** The parameters of a query; what is undefined is left out, and of a list each has the same name. */
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/**
 * Encoded as a signature wants it, so that what is sent is what is signed; a space is `%20`, not a plus, which nobody
 * on the way can take for another thing.
 */
export function queryString(query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${encode(name)}=${encode(String(one))}`),
  );
  return pairs.join("&");
}

/** Percent-encoded as a signature wants it. */
export function encode(text: string): string {
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, hex);
}

/** Alternatives of one glob, its braces written out. */
export const MAX_ALTERNATIVES = 32;
/** Braces inside each other. */
const MAX_DEPTH = 8;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
const EXTENDED = /[?*+@!]\(/;
const NAMED_CLASS = /\[[^\]]*\[[:.=]/;
const OPEN_CLASS = /\[[^\]/]*(?:\/|$)/;
/** `..` where a name may be, also as one of several alternatives. */
const PARENT = /(?:^|[/{,])\.\.(?:$|[/},])/;
const RANGE = /\{[^{},]*\.\.[^{},]*\}/;

/**
 * What is wrong with a glob of files, in words that do not repeat it; undefined when nothing is. Known are `*` and `?`,
 * `[a-z]` and `[!a-z]`, `{a,b}` with up to 32 alternatives, `**` for any number of directories, and `\` before a character
 * that is to stand for itself. What other tools know beyond that is refused, and not taken for what it looks like.
 */
export function globProblem(source: string): string | undefined {
  // An escaped character is itself, and none of those that mean something; of dots it would still be a path.
  const bare = source.replace(/\\[^./]/g, "_").replaceAll("\\.", ".");
  if (bare.startsWith("!")) return "must not begin with !: there are no exceptions from what is named";
  if (CONTROL.test(bare)) return "must not contain control characters";
  if (/\\/.test(bare)) return "has a \\ before nothing that it could stand for";
  if (EXTENDED.test(bare)) return "must not contain ?( *( +( @( or !(: alternatives are written {a,b}";
  if (OPEN_CLASS.test(bare)) return "has a [ without its ]";
  if (NAMED_CLASS.test(bare)) return "must not contain named classes such as [:alpha:]";
  if (PARENT.test(bare)) return "must not contain .. as a part of the path";
  if (RANGE.test(bare)) return "must not contain ranges in braces such as {1..9}";
  if (/^[./]*$/.test(bare)) return "must name files";
  const braces = bracesOf(bare);
  if (typeof braces === "string") return braces;
  return braces > MAX_ALTERNATIVES ? `must stand for at most ${MAX_ALTERNATIVES} alternatives` : undefined;
}

/** How many paths the braces of a glob stand for at most. */
export function alternativesIn(source: string): number {
  const braces = bracesOf(source.replace(/\\./g, "_"));
  return typeof braces === "string" ? 0 : braces;
}

/** The product over all pairs of braces, which counts those inside each other too often. */
function bracesOf(bare: string): number | string {
  const open: number[] = [];
  let product = 1;
  for (const character of bare) {
    if (character === "{") open.push(1);
    else if (character === "," && open.length > 0) open.push((open.pop() ?? 0) + 1);
    else if (character === "}") product *= open.pop() ?? Number.NaN;
    if (open.length > MAX_DEPTH) return `must not have more than ${MAX_DEPTH} braces inside each other`;
    if (Number.isNaN(product)) return "has a } without its {";
  }
  return open.length > 0 ? "has a { without its }" : product;
}

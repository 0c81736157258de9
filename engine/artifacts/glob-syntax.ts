/** A part of a glob. */
export type GlobNode =
  | { kind: "literal"; character: string }
  | { kind: "any" }
  | { kind: "star" }
  | { kind: "slash" }
  | { kind: "class"; negated: boolean; ranges: readonly (readonly [from: string, to: string])[] }
  | { kind: "choice"; choices: readonly (readonly GlobNode[])[] };

export const STAR = "star";

/** How deep braces may stand in braces. */
const MAX_DEPTH = 8;

/** What is wrong with a glob, thrown from inside its parser. */
class Malformed extends Error {}

interface Reader {
  characters: readonly string[];
  at: number;
}

export function isLiteral(node: GlobNode): node is Extract<GlobNode, { kind: "literal" }> {
  return node.kind === "literal";
}

/** The parts of a glob, or what is wrong with it. Of other tools' globs `!a`, `@(a|b)` and `[[:alpha:]]` are refused. */
export function parseGlob(source: string): GlobNode[] | string {
  if (source.startsWith("!")) return "must not begin with !: there are no exceptions from what is named";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/[\u0000-\u001f\u007f]/.test(source)) return "must not contain control characters";
  const reader: Reader = { characters: Array.from(source), at: 0 };
  try {
    return sequence(reader, 0);
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

/** Reads to the end, or inside braces to the comma or the brace that ends an alternative. */
function sequence(reader: Reader, depth: number): GlobNode[] {
  const nodes: GlobNode[] = [];
  for (;;) {
    const character = reader.characters[reader.at];
    if (character === undefined) {
      if (depth > 0) throw new Malformed("has a { without its }");
      return nodes;
    }
    if (depth > 0 && (character === "," || character === "}")) return nodes;
    if ("?*+@!".includes(character) && reader.characters[reader.at + 1] === "(") {
      throw new Malformed(`must not contain ${character}(: alternatives are written {a,b}`);
    }
    nodes.push(next(reader, depth));
  }
}

function next(reader: Reader, depth: number): GlobNode {
  const character = reader.characters[reader.at] ?? "";
  reader.at += 1;
  switch (character) {
    case "*":
      return { kind: "star" };
    case "?":
      return { kind: "any" };
    case "/":
      return { kind: "slash" };
    case "[":
      return characterClass(reader);
    case "{":
      return choice(reader, depth + 1);
    case "}":
      throw new Malformed("has a } without its {");
    case "\\":
      return escaped(reader);
    default:
      return { kind: "literal", character };
  }
}

function escaped(reader: Reader): GlobNode {
  const character = reader.characters[reader.at];
  if (character === undefined || character === "/")
    throw new Malformed("has a \\ before nothing that it could stand for");
  reader.at += 1;
  return { kind: "literal", character };
}

function choice(reader: Reader, depth: number): GlobNode {
  if (depth > MAX_DEPTH) throw new Malformed(`must not have more than ${MAX_DEPTH} braces inside each other`);
  const choices: GlobNode[][] = [];
  do {
    choices.push(sequence(reader, depth));
    reader.at += 1;
  } while (reader.characters[reader.at - 1] === ",");
  return { kind: "choice", choices };
}

function characterClass(reader: Reader): GlobNode {
  const { characters } = reader;
  const negated = characters[reader.at] === "!" || characters[reader.at] === "^";
  if (negated) reader.at += 1;
  const ranges: [string, string][] = [];
  // A ] that comes first stands for itself.
  for (let isFirst = true; isFirst || characters[reader.at] !== "]"; isFirst = false) {
    const from = member(reader);
    const isRange = characters[reader.at] === "-" && characters[reader.at + 1] !== "]";
    if (isRange) reader.at += 1;
    const to = isRange ? member(reader) : from;
    if (from > to) throw new Malformed("has a range in [] that ends before it begins");
    ranges.push([from, to]);
  }
  reader.at += 1;
  return { kind: "class", negated, ranges };
}

function member(reader: Reader): string {
  const { characters } = reader;
  if (characters[reader.at] === "[" && ":.=".includes(characters[reader.at + 1] ?? " ")) {
    throw new Malformed("must not contain named classes such as [:alpha:]");
  }
  if (characters[reader.at] === "\\") reader.at += 1;
  const character = characters[reader.at];
  if (character === undefined) throw new Malformed("has a [ without its ]");
  if (character === "/") throw new Malformed("must not have a / inside []");
  reader.at += 1;
  return character;
}

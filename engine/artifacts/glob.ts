import { type GlobNode, isLiteral, parseGlob, STAR } from "./glob-syntax.ts";

/** Counts the comparisons that matching takes: whoever matches against many paths stops where it becomes too much. */
export interface Meter {
  steps: number;
}

/** `**`: any number of directories, none included. */
const GLOBSTAR = Symbol("**");
type Segment = typeof GLOBSTAR | readonly GlobNode[];

/** One of the paths that a glob with braces stands for. */
export interface Alternative {
  /** Without it the glob is relative to the working directory. */
  absolute: boolean;
  segments: readonly Segment[];
  /** The leading segments in which nothing is left open. */
  base: readonly string[];
}

export interface Glob {
  source: string;
  alternatives: readonly Alternative[];
}

/** Alternatives of one glob. */
const MAX_ALTERNATIVES = 32;

/**
 * A glob of file paths: `*` and `?` inside a segment (also of names that begin with a dot), `[a-z]` and `[!a-z]`, `{a,b}`
 * with up to 32 alternatives, `**` for any number of directories, `\` before a character that is to stand for itself. A
 * slash at the end stands for all below. Matching takes at most (length of the glob) × (length of the path) steps for each
 * alternative: regular expressions, which other libraries make of a glob, can take exponentially many.
 * @returns the glob, or what is wrong with it in words that do not repeat it.
 */
export function compileGlob(source: string): Glob | string {
  const parsed = parseGlob(source);
  if (typeof parsed === "string") return parsed;
  const lists = expand(parsed);
  if (lists === undefined) return `must stand for at most ${MAX_ALTERNATIVES} alternatives`;
  const alternatives: Alternative[] = [];
  for (const nodes of lists) {
    const alternative = alternativeOf(nodes);
    if (typeof alternative === "string") return alternative;
    alternatives.push(alternative);
  }
  return { source, alternatives };
}

/** Every choice of one alternative for each pair of braces; undefined when there are too many. */
function expand(nodes: readonly GlobNode[]): GlobNode[][] | undefined {
  let lists: GlobNode[][] = [[]];
  for (const node of nodes) {
    if (node.kind !== "choice") {
      for (const list of lists) list.push(node);
      continue;
    }
    const choices: GlobNode[][] = [];
    for (const choice of node.choices) {
      const expanded = expand(choice);
      if (expanded === undefined) return undefined;
      choices.push(...expanded);
      if (choices.length > MAX_ALTERNATIVES) return undefined;
    }
    if (lists.length * choices.length > MAX_ALTERNATIVES) return undefined;
    lists = lists.flatMap((list) => choices.map((choice) => [...list, ...choice]));
  }
  return lists;
}

function alternativeOf(nodes: readonly GlobNode[]): Alternative | string {
  const parts: GlobNode[][] = [[]];
  for (const node of nodes) {
    if (node.kind === "slash") parts.push([]);
    else parts.at(-1)?.push(node);
  }
  const absolute = parts.length > 1 && parts[0]?.length === 0;
  const endsWithSlash = parts.length > 1 && parts.at(-1)?.length === 0;
  const segments: Segment[] = [];
  for (const part of parts) {
    const text = textOf(part);
    if (text === "" || text === ".") continue;
    if (text === "..") return "must not contain .. as a part of the path";
    const isGlobstar = part.length === 2 && part.every(({ kind }) => kind === "star");
    if (!isGlobstar) segments.push(part);
    else if (segments.at(-1) !== GLOBSTAR) segments.push(GLOBSTAR);
  }
  if (endsWithSlash && segments.at(-1) !== GLOBSTAR) segments.push(GLOBSTAR);
  if (segments.length === 0) return "must name files";
  const open = segments.findIndex((segment) => segment === GLOBSTAR || textOf(segment) === undefined);
  const base = segments.slice(0, open < 0 ? undefined : open).map((segment) => textOf(segment as GlobNode[]) ?? "");
  return { absolute, segments, base };
}

/** What a segment stands for when nothing in it is left open. */
function textOf(segment: readonly GlobNode[]): string | undefined {
  return segment.every(isLiteral) ? segment.map(({ character }) => character).join("") : undefined;
}

/** The segments of a literal path, as those of a glob. */
export function literalSegments(path: readonly string[]): Segment[] {
  return path.map((name) => Array.from(name, (character): GlobNode => ({ kind: "literal", character })));
}

/** How a path stands to a pattern: it matches, or what lies below it might. */
export interface Standing {
  matches: boolean;
  leads: boolean;
}

/** A path's names as matching wants them. */
export function charactersOf(path: readonly string[]): string[][] {
  return path.map((name) => Array.from(name));
}

/** How a path (its names' characters) stands to a pattern. */
export function standingOf(pattern: readonly Segment[], path: readonly string[][], meter: Meter): Standing {
  let states = new Set<number>();
  enter(states, pattern, 0);
  for (const name of path) {
    const next = new Set<number>();
    for (const at of states) {
      const segment = pattern[at];
      if (segment === undefined) continue;
      if (segment === GLOBSTAR) enter(next, pattern, at);
      else if (matchesName(segment, name, meter)) enter(next, pattern, at + 1);
    }
    if (next.size === 0) return { matches: false, leads: false };
    states = next;
  }
  const leads = [...states].some((at) => at < pattern.length);
  return { matches: states.has(pattern.length), leads };
}

/** `**` may stand for nothing: whoever is before it is behind it too. */
function enter(states: Set<number>, pattern: readonly Segment[], at: number): void {
  states.add(at);
  if (pattern[at] === GLOBSTAR) states.add(at + 1);
}

/** The last star is the only one that ever has to take more: so there is nothing to backtrack further than to it. */
function matchesName(pattern: readonly GlobNode[], name: readonly string[], meter: Meter): boolean {
  let at = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < name.length; ) {
    meter.steps += 1;
    const node = pattern[at];
    if (node?.kind === STAR) {
      star = at;
      taken = i;
      at += 1;
    } else if (node !== undefined && matchesOne(node, name[i] ?? "")) {
      at += 1;
      i += 1;
    } else if (star >= 0) {
      taken += 1;
      i = taken;
      at = star + 1;
    } else return false;
  }
  while (pattern[at]?.kind === STAR) at += 1;
  return at === pattern.length;
}

function matchesOne(node: GlobNode, character: string): boolean {
  switch (node.kind) {
    case "literal":
      return node.character === character;
    case "any":
      return true;
    case "class":
      return node.ranges.some(([from, to]) => from <= character && character <= to) !== node.negated;
    default:
      return false;
  }
}

import { braceExpand, escape as escaped, GLOBSTAR, Minimatch } from "minimatch";
import { MAX_ALTERNATIVES } from "./glob-rules.ts";

/** How a path stands to a pattern: it matches, or what lies below it might. */
export interface Standing {
  matches: boolean;
  leads: boolean;
}

/** One of the paths that a glob with braces stands for, from the root of the file system on. */
export interface Pattern {
  /** The leading names in which nothing is left open. */
  base: readonly string[];
  /** Comparisons for each character of a path, at most. */
  cost: number;
  standingOf(path: readonly string[]): Standing;
}

/** Only what `globProblem` lets through means something; names that begin with a dot are like any other. */
const OPTIONS = {
  dot: true,
  noext: true,
  nonegate: true,
  nocomment: true,
  platform: "linux",
  // One more than a spec may have: a glob that was not checked matches less, and never takes for ever.
  braceExpandMax: MAX_ALTERNATIVES + 1,
} as const;

/**
 * The patterns of a glob; one that is not absolute begins in `workdir`, and a slash at its end stands for all below. The
 * library matches each name without backtracking: in a time that is at most the product of both lengths.
 */
export function patternsOf(source: string, workdir: readonly string[]): Pattern[] {
  const all = source.endsWith("/") ? `${source}**` : source;
  return braceExpand(all, OPTIONS).map((one) => {
    const start = one.startsWith("/") ? [] : workdir.map((name) => escaped(name));
    const names = one.split("/").filter((name) => name !== "" && name !== ".");
    return patternOf(new Minimatch(`/${[...start, ...names].join("/")}`, { ...OPTIONS, nobrace: true }));
  });
}

function patternOf(glob: Minimatch): Pattern {
  const parts = (glob.set[0] ?? []).filter((part) => part !== "");
  const open = parts.findIndex((part) => typeof part !== "string");
  const base = parts.slice(0, open < 0 ? undefined : open) as string[];
  const isDeep = parts.includes(GLOBSTAR);
  return {
    base,
    cost: glob.pattern.length,
    standingOf(path) {
      const text = `/${path.join("/")}`;
      const mayLead = isDeep || path.length < parts.length;
      return { matches: glob.match(text, false), leads: mayLead && (path.length === 0 || glob.match(text, true)) };
    },
  };
}

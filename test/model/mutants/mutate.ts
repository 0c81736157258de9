import { globSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Mutant } from "./mutant.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** The sources that mutants are made of: paths and texts. */
export function engineSources(): Map<string, string> {
  const paths = globSync("engine/**/*.ts", { cwd: ROOT });
  return new Map(paths.map((path) => [path, readFileSync(new URL(path, pathToFileURL(ROOT)), "utf8")]));
}

/**
 * Lets this process load the mutant in place of the source that it breaks; nothing on the disk changes. To be called
 * before anything of the engine is loaded.
 * @throws Error when the text that the mutant replaces is not there exactly once.
 */
export function loadMutant(mutant: Mutant): void {
  const { path, source } = mutated(engineSources(), mutant);
  const url = new URL(path, pathToFileURL(ROOT)).href;
  registerHooks({
    load(asked, context, nextLoad) {
      const loaded = nextLoad(asked, context);
      return asked === url ? { ...loaded, source } : loaded;
    },
  });
}

/**
 * The source with the mutant in it.
 * @throws Error when the text that it replaces is not there exactly once.
 */
export function mutated(
  sources: ReadonlyMap<string, string>,
  { name, search, replace }: Mutant,
): { path: string; source: string } {
  const found = [...sources].filter(([, text]) => text.includes(search));
  const [first] = found;
  if (first === undefined) throw new Error(`the mutant ${name} finds its text nowhere`);
  const [path, text] = first;
  const [before, after, ...more] = text.split(search);
  if (found.length > 1 || more.length > 0) throw new Error(`the mutant ${name} finds its text more than once`);
  return { path, source: `${before}${replace}${after}` };
}

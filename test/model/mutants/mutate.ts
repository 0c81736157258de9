import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import type { Mutant } from "./mutant.ts";

const ROOT = new URL("../../../", import.meta.url);

/**
 * Lets this process load the mutant in place of the source that it breaks; nothing on the disk changes. To be called
 * before anything of the engine is loaded.
 * @throws Error when the text that the mutant replaces is not there exactly once.
 */
export function loadMutant(mutant: Mutant): void {
  const url = new URL(mutant.file, ROOT);
  const source = mutated(readFileSync(url, "utf8"), mutant);
  registerHooks({
    load(asked, context, nextLoad) {
      const loaded = nextLoad(asked, context);
      return asked === url.href ? { ...loaded, source } : loaded;
    },
  });
}

/**
 * A source with the mutant in it.
 * @throws Error when the text that it replaces is not there exactly once.
 */
export function mutated(source: string, { name, file, search, replace }: Mutant): string {
  const [before, after, ...more] = source.split(search);
  if (before === undefined || after === undefined || more.length > 0) {
    const count = after === undefined ? "nowhere" : "more than once";
    throw new Error(`the mutant ${name} finds its text ${count} in ${file}`);
  }
  return `${before}${replace}${after}`;
}

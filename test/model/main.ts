import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants/all.ts";
import { loadMutant } from "./mutants/mutate.ts";

// npm run model -- --lives N --seed S        plays N lives, on every processor
// npm run model -- --seed S --path P         plays one run again and tells every call of it
// npm run model -- --mutants [NAME…] [--lives N]   plays broken engines until they are caught, N lives at most
// npm run model -- … --mutant NAME           the same with one broken engine

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lives: { type: "string" },
    seed: { type: "string" },
    path: { type: "string" },
    mutant: { type: "string" },
    mutants: { type: "boolean", default: false },
    workers: { type: "string" },
  },
});

const seed = number("seed", values.seed) ?? Math.floor(Math.random() * 1_000_000_000);
const lives = number("lives", values.lives);
if (values.mutant !== undefined) {
  const mutant = MUTANTS.find(({ name }) => name === values.mutant);
  if (mutant === undefined) throw new Error(`there is no mutant ${values.mutant}`);
  loadMutant(mutant);
}

// Only now: whatever loads the engine loads the mutant.
if (values.path !== undefined) {
  const { playAgain } = await import("./play.ts");
  process.exitCode = await playAgain({ seed, path: values.path, mutant: values.mutant });
} else if (values.mutants) {
  const { runMutants } = await import("./mutants/run.ts");
  process.exitCode = await runMutants({ seed, lives: lives ?? 20_000, names: positionals });
} else {
  const { playLives } = await import("./play.ts");
  const workers = number("workers", values.workers) ?? undefined;
  process.exitCode = await playLives({ seed, lives: lives ?? 200_000, mutant: values.mutant, workers });
}

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,12}$/.test(text)) throw new Error(`--${name} must be a whole number`);
  return Number(text);
}

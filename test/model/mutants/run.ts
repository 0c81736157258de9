import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { MUTANTS } from "./all.ts";
import type { Mutant } from "./mutant.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const AT_ONCE = 2;

export interface Verdict {
  mutant: string;
  caught: boolean;
  /** By what it was caught, or how it got away. */
  how: string;
  /** Lives that were played. */
  lives: number;
  /** What plays the failure again. */
  again: readonly string[] | null;
}

/** Plays a broken engine until it is caught, or so many lives are over. @throws Error when it cannot be played. */
export async function playMutant({ name }: Mutant, { seed, lives }: { seed: number; lives: number }): Promise<Verdict> {
  const args = ["--mutant", name, "--seed", `${seed}`, "--lives", `${lives}`, "--workers", "1"];
  const { exitCode, stdout, stderr } = await execa(process.execPath, [MAIN, ...args], { reject: false });
  const played = Number(/: (\d+) lives in/.exec(stdout)?.[1] ?? 0);
  const again = /play it again: npm run model -- (.*)/.exec(stdout)?.[1]?.split(" ") ?? null;
  if (exitCode === 0) return { mutant: name, caught: false, how: "got away", lives: played, again };
  if (again === null && !stderr.includes("UnhandledPromiseRejection")) {
    throw new Error(`the mutant ${name} cannot be played: ${stdout}${stderr}`);
  }
  const how = howIn(stdout);
  return { mutant: name, caught: true, how, lives: played, again };
}

/** Plays the run that caught a mutant again, by the command that was printed. */
export async function playAgain({ again }: Verdict): Promise<{ exitCode: number; how: string }> {
  if (again === null) throw new Error("nothing was printed that could be played again");
  const { exitCode = 1, stdout } = await execa(process.execPath, [MAIN, ...again], { reject: false });
  return { exitCode, how: howIn(stdout) };
}

function howIn(output: string): string {
  return /^(?:Violation|\w*Error): (.*)/m.exec(output)?.[1] ?? "the process died of an error that nobody caught";
}

/** Plays mutants, all unless some are named, and prints what became of each. Exit code 0 when but one at most got away. */
export async function runMutants({
  names,
  ...options
}: {
  seed: number;
  lives: number;
  names: readonly string[];
}): Promise<number> {
  const left = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name));
  const verdicts: Verdict[] = [];
  const worker = async (): Promise<void> => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const verdict = await playMutant(mutant, options);
      verdicts.push(verdict);
      const { caught, how, lives } = verdict;
      console.log(
        `${caught ? "caught " : "MISSED "} ${mutant.name.padEnd(36)} ${String(lives).padStart(6)} lives  ${how.slice(0, 140)}`,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const missed = verdicts.filter(({ caught }) => !caught);
  console.log(`seed ${options.seed}: ${verdicts.length - missed.length} of ${verdicts.length} mutants caught`);
  for (const { mutant } of missed)
    console.log(`missed: ${mutant}: ${MUTANTS.find(({ name }) => name === mutant)?.breaks}`);
  return missed.length <= 1 ? 0 : 1;
}

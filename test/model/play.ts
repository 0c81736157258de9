import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Played } from "./property.ts";
import { type Failure, replay, search } from "./search.ts";

const SECOND_MS = 1000;
const TELL_EVERY_MS = 10 * SECOND_MS;
/** Seeds of two workers are so far apart that their batches never meet. */
const SEEDS_A_WORKER = 1_000_000;

export interface PlayLives {
  seed: number;
  lives: number;
  mutant: string | undefined;
  /** Processes; default one for each processor. */
  workers: number | undefined;
}

/** Plays so many lives, tells how far it is, and ends with what it found. Gives the exit code. */
export async function playLives({ seed, lives, mutant, workers = availableParallelism() }: PlayLives): Promise<number> {
  const begunMs = performance.now();
  if (workers > 1) return await inWorkers({ seed, lives, mutant, workers });
  let toldMs = begunMs;
  const { played, failure } = await search({
    lives,
    seed,
    onProgress(so) {
      if (performance.now() - toldMs < TELL_EVERY_MS) return;
      toldMs = performance.now();
      console.log(figures(so, toldMs - begunMs));
    },
  });
  console.log(`seed ${seed}: ${figures(played, performance.now() - begunMs)}`);
  if (failure === null) return 0;
  tell(failure, mutant);
  return 1;
}

/** Plays one run again, with every call to a port told. Gives the exit code. */
export async function playAgain({
  seed,
  path,
  mutant,
}: {
  seed: number;
  path: string;
  mutant: string | undefined;
}): Promise<number> {
  const failure = await replay({ seed, path, trace: (text) => console.log(text) });
  if (failure === null) {
    console.log("all that must hold does");
    return 0;
  }
  tell(failure, mutant);
  return 1;
}

/** Each in a process of its own; the first that finds something ends the others. */
async function inWorkers({ seed, lives, mutant, workers }: PlayLives & { workers: number }): Promise<number> {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const children = Array.from({ length: workers }, (_, n) => {
    const share = Math.ceil(lives / workers);
    const args = ["--lives", `${share}`, "--seed", `${seed + n * SEEDS_A_WORKER}`, "--workers", "1"];
    return fork(main, mutant === undefined ? args : [...args, "--mutant", mutant]);
  });
  const codes = await Promise.all(
    children.map(
      (child) =>
        new Promise<number>((resolve) => {
          child.once("exit", (code) => {
            if (code !== 0) for (const other of children) other.kill();
            resolve(code ?? 1);
          });
        }),
    ),
  );
  return codes.some((code) => code !== 0) ? 1 : 0;
}

function figures({ runs, lives, steps }: Played, ms: number): string {
  const { user, system } = process.cpuUsage();
  const rates = [ms, (user + system) / 1000].map((time) => Math.round((lives * SECOND_MS) / time));
  return `${lives} lives in ${runs} runs, ${steps} steps, ${rates[0]} lives a second, ${rates[1]} a second of processor time`;
}

function tell({ seed, path, message }: Failure, mutant: string | undefined): void {
  console.log(message);
  const of = mutant === undefined ? "" : ` --mutant ${mutant}`;
  console.log(`play it again: npm run model -- --seed ${seed} --path ${path}${of}`);
}

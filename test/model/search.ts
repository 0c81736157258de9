import fc from "fast-check";
import { modelProperty, type Played } from "./property.ts";

/** Runs that one batch plays at most; between batches the process takes a breath and counts the lives. */
const RUNS_A_BATCH = 100;

/** A run that went wrong, and what it takes to play it again. */
export interface Failure {
  seed: number;
  path: string;
  /** What went wrong, and the setting and the commands that led to it. */
  message: string;
}

export interface SearchOptions {
  /** Accepted jobs to be played to their end, at least. */
  lives: number;
  seed: number;
  /** Called between batches. */
  onProgress?: (played: Played) => void;
}

/** Plays runs of the model until so many lives are over or one goes wrong: each batch has a seed that follows from the first. */
export async function search({
  lives,
  seed,
  onProgress,
}: SearchOptions): Promise<{ played: Played; failure: Failure | null }> {
  const played: Played = { runs: 0, lives: 0, steps: 0 };
  for (let batch = 0; played.lives < lives; batch++) {
    const failure = await check(played, { seed: seed + batch, numRuns: RUNS_A_BATCH, enough: lives });
    if (failure !== null) return { played, failure };
    onProgress?.(played);
    // Whoever wants to end this process or hear of it gets a turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { played, failure: null };
}

/** Plays one run again. */
export async function replay({
  seed,
  path,
  trace,
}: {
  seed: number;
  path: string;
  trace?: (text: string) => void;
}): Promise<Failure | null> {
  const played: Played = { runs: 0, lives: 0, steps: 0 };
  return await check(played, { seed, path, trace });
}

interface CheckOptions {
  seed: number;
  path?: string;
  numRuns?: number;
  enough?: number;
  trace?: ((text: string) => void) | undefined;
}

async function check(played: Played, { trace, enough, ...parameters }: CheckOptions): Promise<Failure | null> {
  // Not shrunk: with one command less everything that follows happens in another order, so that little is gained.
  const details = await fc.check(modelProperty(played, { trace, enough }), { ...parameters, endOnFailure: true });
  if (!details.failed) return null;
  const [value] = details.counterexample ?? [];
  const error =
    details.errorInstance instanceof Error ? details.errorInstance : new Error(String(details.errorInstance));
  const text = value === undefined ? "" : `\n${JSON.stringify(value.setting)}\n${[...value.commands].join("\n")}`;
  return {
    seed: parameters.seed,
    path: details.counterexamplePath ?? "",
    message: `${error.stack ?? error.message}${text}`,
  };
}

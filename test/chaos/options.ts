import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

export const RUNTIMES = ["docker", "process", "stub"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export interface ChaosOptions {
  jobs: number;
  /** How often the home is ended, in whatever way. */
  kills: number;
  runtime: RuntimeName;
  /** Of the jobs and of the moments; 32 bits. */
  seed: number;
}

export interface SoakOptions {
  jobs: number;
  /** Jobs that were submitted and have not ended, at most. */
  concurrent: number;
  runtime: RuntimeName;
  seed: number;
}

/**
 * Reads the arguments of `npm run chaos`.
 * @throws Error that names what cannot be understood.
 */
export function chaosOptions(args: string[]): ChaosOptions {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args, options: { jobs: text, kills: text, runtime: text, seed: text } });
  return {
    jobs: whole("--jobs", values.jobs, { byDefault: 60, least: 1 }),
    kills: whole("--kills", values.kills, { byDefault: 30, least: 0 }),
    runtime: runtimeOf(values.runtime, "docker"),
    seed: seedOf(values.seed),
  };
}

/**
 * Reads the arguments of `npm run soak`.
 * @throws Error that names what cannot be understood.
 */
export function soakOptions(args: string[]): SoakOptions {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args, options: { jobs: text, concurrent: text, runtime: text, seed: text } });
  return {
    jobs: whole("--jobs", values.jobs, { byDefault: 10_000, least: 1 }),
    concurrent: whole("--concurrent", values.concurrent, { byDefault: 64, least: 1 }),
    runtime: runtimeOf(values.runtime, "stub"),
    seed: seedOf(values.seed),
  };
}

function seedOf(text: string | undefined): number {
  return whole("--seed", text, { byDefault: randomBytes(4).readUInt32BE(), least: 0 });
}

function whole(name: string, text: string | undefined, range: { byDefault: number; least: number }): number {
  if (text === undefined) return range.byDefault;
  if (/^\d{1,10}$/.test(text) && Number(text) >= range.least) return Number(text);
  throw new Error(`${name} must be a whole number from ${range.least}, not ${text}`);
}

function runtimeOf(text: string | undefined, byDefault: RuntimeName): RuntimeName {
  const found = RUNTIMES.find((name) => name === (text ?? byDefault));
  if (found !== undefined) return found;
  throw new Error(`--runtime must be one of ${RUNTIMES.join(", ")}, not ${text}`);
}

import { availableParallelism, homedir } from "node:os";
import { delimiter, isAbsolute, join, normalize, resolve } from "node:path";
import * as z from "zod";
import { LongshoreError, type Violation } from "../engine/errors.ts";
import { type Retention, retentionDays, retentionRuns } from "../engine/retention.ts";

/** The runtimes that the local home can offer, in the order in which it prefers them. */
export const LOCAL_RUNTIMES = ["docker", "process", "stub"] as const;

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** A process's environment, as `process.env` has it. */
export type Environment = Record<string, string | undefined>;

/** Everything that the operator decides about the local home. */
export interface Settings {
  /** Data directory, absolute. */
  home: string;
  /** Port on 127.0.0.1; 0 is any free one. */
  port: number;
  /** The runtimes to offer, in order of preference; null: every one that answers. */
  runtimes: string[] | null;
  /** Host directories that `file:` secrets may be read from, absolute. */
  secretRoots: string[];
  /** Jobs waiting at most. */
  maxQueued: number;
  /** Jobs running at once, by runtime: the defaults with the operator's values over them. */
  maxConcurrent: Record<string, number>;
  /** Host directories that volumes may use, absolute. */
  allowedMounts: string[];
  reconcileSeconds: number;
  /** How long finished runs are kept, and how many. */
  retention: Retention;
  logLevel: (typeof LOG_LEVELS)[number];
  /** `DOCKER_HOST`; null: the usual sockets are tried. */
  dockerHost: string | null;
  /** The environment itself: `env:` secrets and the usual places of sockets are looked up in it. */
  environment: Environment;
}

// Timers overflow at 24.8 days.
const MAX_TIMER_SECONDS = 2_000_000;

const runtimeName = z.enum(LOCAL_RUNTIMES, { error: `may name only ${LOCAL_RUNTIMES.join(", ")}` });

function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .pipe(z.number().min(min, message).max(max, message));
}

const commaList = z.string().transform((text) => text.split(",").map((part) => part.trim()));

const runtimeList = commaList
  .pipe(z.array(runtimeName))
  .refine((names) => new Set(names).size === names.length, "must not name a runtime twice");

const concurrency = commaList
  .transform((parts) => parts.map((part) => part.split("=")))
  .pipe(z.array(z.tuple([runtimeName, wholeNumber(1, 100_000)], { error: "must look like docker=8,process=4" })))
  .transform((pairs): Record<string, number> => Object.fromEntries(pairs));

const directories = z
  .string()
  .transform((text) => text.split(delimiter).filter((path) => path !== ""))
  .pipe(
    z.array(z.string().refine(isAbsolute, `must be absolute paths, separated by "${delimiter}"`).transform(normalize)),
  );

const schema = z.object({
  LONGSHORE_HOME: z
    .string()
    .refine((path) => !path.includes("\0"), "must be a path")
    .optional(),
  LONGSHORE_PORT: wholeNumber(0, 65_535).default(7070),
  LONGSHORE_RUNTIMES: runtimeList.nullable().default(null),
  LONGSHORE_SECRET_ROOTS: directories.default([]),
  LONGSHORE_MAX_QUEUED: wholeNumber(1, 10_000_000).default(10_000),
  LONGSHORE_MAX_CONCURRENT: concurrency.default({}),
  LONGSHORE_ALLOWED_MOUNTS: directories.default([]),
  LONGSHORE_RECONCILE_SECONDS: wholeNumber(1, MAX_TIMER_SECONDS).default(15),
  LONGSHORE_RETENTION_DAYS: retentionDays.default({ all: 30, byStatus: {} }),
  LONGSHORE_RETENTION_RUNS: retentionRuns.default({ all: null, byStatus: {} }),
  LONGSHORE_LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(", ")}` }).default("info"),
  DOCKER_HOST: z
    .string()
    .regex(/^(unix|tcp|http|https|ssh|npipe):\/\/./, "must be a URL such as unix:///var/run/docker.sock")
    .nullable()
    .default(null),
});

/**
 * Reads the settings of the local home from an environment; a variable that is set to nothing counts as unset.
 * `overrides` are what the command line said, and win.
 * @throws LongshoreError VALIDATION that names every setting that cannot be understood, with one violation for each.
 */
export function readSettings(env: Environment, overrides: Partial<{ home: string; port: number }> = {}): Settings {
  const given = Object.fromEntries(Object.keys(schema.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw settingsError(parsed.error);
  const values = parsed.data;
  return {
    home: resolve(overrides.home ?? values.LONGSHORE_HOME ?? join(env.HOME || homedir(), ".longshore")),
    port: overrides.port ?? values.LONGSHORE_PORT,
    runtimes: values.LONGSHORE_RUNTIMES,
    secretRoots: values.LONGSHORE_SECRET_ROOTS,
    maxQueued: values.LONGSHORE_MAX_QUEUED,
    maxConcurrent: { docker: 64, process: availableParallelism() * 4, stub: 256, ...values.LONGSHORE_MAX_CONCURRENT },
    allowedMounts: values.LONGSHORE_ALLOWED_MOUNTS,
    reconcileSeconds: values.LONGSHORE_RECONCILE_SECONDS,
    retention: { days: values.LONGSHORE_RETENTION_DAYS, runs: values.LONGSHORE_RETENTION_RUNS },
    logLevel: values.LONGSHORE_LOG_LEVEL,
    dockerHost: values.DOCKER_HOST,
    environment: env,
  };
}

function settingsError(error: z.ZodError): LongshoreError {
  const violations = new Map<string, Violation>();
  for (const issue of error.issues) {
    const name = String(issue.path[0]);
    // One complaint a setting is enough: the first says what is wrong with it.
    if (!violations.has(name)) violations.set(name, { path: name, code: "SETTING", message: issue.message });
  }
  const found = [...violations.values()];
  return new LongshoreError("VALIDATION", found.map((one) => `${one.path} ${one.message}`).join("; "), {
    violations: found,
  });
}

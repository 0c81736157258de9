import type { Category } from "../errors.ts";
import type { JobId } from "../ids.ts";
import type { JobSpec } from "../spec/schema.ts";

/** The runtime's own id for an attempt's container, process or task. */
export type ExternalRef = string;

/** What a runtime can do. A spec that needs what is false here is refused before it is accepted. */
export interface RuntimeCapabilities {
  image: boolean;
  gpu: boolean;
  volumes: boolean;
  sidecars: boolean;
  initContainers: boolean;
  healthCheck: boolean;
  streamingLogs: boolean;
  artifacts: boolean;
  spot: boolean;
  placement: boolean;
  exec: boolean;
  cpuLimit: boolean;
  memoryLimit: boolean;
  diskLimit: boolean;
  /** The spec's `user`. */
  user: boolean;
  workdir: boolean;
  readOnlyRoot: boolean;
  /** The spec's `network.mode` values that it keeps to. */
  networkModes: readonly ("none" | "isolated" | "workflow")[];
  addCapabilities: boolean;
  registryAuth: boolean;
}

/** Numeric limits of a runtime; null where it has none. */
export interface RuntimeConstraints {
  maxTimeoutSeconds: number | null;
  maxMemoryMiB: number | null;
  maxCpu: number | null;
  maxEnvBytes: number | null;
  maxArtifactBytes: number | null;
  /** Jobs at once on this runtime. */
  maxConcurrent: number;
}

export interface RegistryAuth {
  username: string;
  password: string;
  serverAddress?: string;
}

/**
 * A report from inside `submit`: the attempt entered a phase, or went on within it. `creating` comes before anything is
 * asked for that could start the command: a launch that fails before it has started nothing.
 */
export interface LaunchReport {
  phase: "pulling" | "creating";
  /** Facts for the event, such as `{ image, present }`. Never a secret value. */
  data?: Record<string, unknown>;
  /** Bytes so far and in all; such a report is shown to whoever looks, and not recorded. */
  progress?: { currentBytes: number; totalBytes: number };
}

/** Everything that a runtime needs to start one attempt; the home's id was given to its factory. */
export interface Launch {
  jobId: JobId;
  attempt: number;
  /** The deterministic name: a DNS label of at most 63 characters. */
  externalName: string;
  /** The normalised spec with its real values. */
  spec: JobSpec;
  /** The whole environment: `spec.env`, the resolved secrets, and the attempt's place in its trace. */
  env: Record<string, string>;
  registryAuth?: RegistryAuth;
  /**
   * RFC 3339: when the attempt was dispatched first, so when its runtime may have been asked for the first time; after a
   * deferral, which says that nothing was started, when it was dispatched again. A runtime that remembers only for a
   * while what it was asked must not be asked again later; see `submit`.
   */
  dispatchedAt: string;
  /**
   * What the runtime made for the attempt last and ended before the command was started, as `submit` told by `unstarted`:
   * it never will be, and this launch is for another one. A runtime that remembers what it was asked for must not answer
   * with that one again.
   */
  replaces?: ExternalRef;
  /** Values to mask wherever the runtime itself writes lines to a disk of Longshore's. */
  secretValues: readonly string[];
  report(report: LaunchReport): void;
  /**
   * Asks whether the command may still be started. Called each time when the resource was made under its name and nothing
   * of it runs yet; where making it and starting it are one call, right before that. What is started then is that very
   * resource: where it was removed meanwhile, nothing is.
   * @throws when it may not: `submit` undoes what it made, and throws the same.
   */
  confirm(): Promise<void>;
}

/** How an attempt stands on its runtime. Times are RFC 3339, UTC, by the runtime's clock. */
export interface RuntimeStatus {
  /** `unknown`: the runtime does not know the reference (any more). */
  phase: "created" | "running" | "exited" | "unknown";
  /** 128 + N when signal N ended it; null when it never ran or nobody can tell. */
  exitCode: number | null;
  oom: boolean;
  /** What ended it other than the command itself: decided by the adapter, which knows its runtime. */
  failure: { category: Category; message: string; providerCode: string | null } | null;
  startedAt: string | null;
  finishedAt: string | null;
}

/** One line of output; `n` counts from 1 per attempt without gaps and never changes. */
export interface RuntimeLine {
  n: number;
  /** RFC 3339, UTC, milliseconds. */
  time: string;
  stream: "stdout" | "stderr" | "system";
  text: string;
  /**
   * Of a piece of a line that was too long for one: what of the line stands before and behind it, as far as that may
   * matter to whoever looks for a text that was cut in two.
   */
  around?: { before: string; after: string };
}

export interface LogOptions {
  /** Go on until the attempt has ended; default: what is there now. */
  follow?: boolean;
  /** Leave out the lines up to this number; default 0. */
  after?: number;
  signal?: AbortSignal;
}

/** What is asked of the files that an attempt left. */
export interface ArtifactRequest {
  /** Globs, see `engine/artifacts/glob.ts`; relative ones are of the working directory. */
  paths: readonly string[];
  /** The spec's; null where it has none. */
  workdir: string | null;
  /** How much may be looked at: files, directories and whatever else has a name, and bytes that pass through. */
  limits: { entries: number; bytes: number };
}

/**
 * Why a file that was asked for is not there. `symlink`, `hard_link`, `special` (device, fifo, socket): only files are kept,
 * and links are not followed. `mount`: it is not the attempt's own file system. `outside`: not where the runtime looks.
 * `limit`: the looking was given up. `gone`: nothing is left of the attempt. The others say what they are.
 */
export const ARTIFACT_REFUSALS = [
  "symlink",
  "hard_link",
  "special",
  "mount",
  "outside",
  "invalid_name",
  "duplicate",
  "too_big",
  "too_many",
  "changed",
  "unreadable",
  "no_match",
  "limit",
  "gone",
] as const;
export type ArtifactRefusalCode = (typeof ARTIFACT_REFUSALS)[number];

/** Something that was asked for and is not handed over; `path` is a glob where nothing was found. */
export interface ArtifactRefusal {
  path: string;
  code: ArtifactRefusalCode;
  message: string;
}

/** A file that was asked for. */
export interface ArtifactFile {
  /** As the attempt saw it: absolute in a container, relative to the working directory of a process. */
  path: string;
  sizeBytes: number;
  /**
   * Exactly so many bytes, or it throws: LongshoreError CONFLICT when the file changes meanwhile. It can be read until the
   * next entry is asked for; one that is not read is left out.
   */
  body: AsyncIterable<Uint8Array>;
}

export type ArtifactEntry = ({ kind: "file" } & ArtifactFile) | ({ kind: "refused" } & ArtifactRefusal);

/** What a running attempt has used so far. Null: the runtime cannot tell. */
export interface RuntimeUsage {
  /** CPU time since the start, seconds. It may fall short of what processes used that nobody waited for. */
  cpuSeconds: number;
  memoryBytes: number;
  memoryPeakBytes: number | null;
  networkReceivedBytes: number | null;
  networkSentBytes: number | null;
  diskReadBytes: number | null;
  diskWrittenBytes: number | null;
}

export interface RuntimeHealth {
  ok: boolean;
  message: string;
}

/** A resource on the runtime that carries this home's label. */
export interface Owned {
  ref: ExternalRef;
  externalName: string;
  jobId: string;
  attempt: number;
  status: RuntimeStatus;
  /** Kept on purpose (`cleanup` never, or onSuccess after a failure): no orphan. */
  kept: boolean;
}

/**
 * A place that runs containers. Every method may throw LongshoreError RUNTIME_UNAVAILABLE when the runtime does not
 * answer. An unknown reference is no error: status `unknown`, cancel false, no lines, a cleanup that does nothing.
 */
export interface RuntimeAdapter {
  readonly name: string;
  /** What kind of place it is, for people: `docker`, `process`, `stub`, … */
  readonly kind: string;
  /** Runs a job only when its spec names it; routing never chooses it. */
  readonly explicitOnly: boolean;
  readonly capabilities: RuntimeCapabilities;
  readonly constraints: RuntimeConstraints;
  /** Checks that only the operator's settings can decide, such as allowed mounts; violations have paths of the spec. */
  check?(spec: JobSpec): { path: string; code: string; message: string }[];
  /**
   * Starts the attempt, or finds the one start that was made before under the same name (labels checked): idempotent,
   * also when that one has already ended. Resolves when the command was started. Leaves nothing behind when it throws
   * or when `signal` aborts (it then throws the signal's reason), except a resource that `cleanup` would find by name.
   * Where nobody can tell any more whether the start was made, it throws UNKNOWN and starts nothing: the attempt fails.
   * After RUNTIME_UNAVAILABLE it may be asked to submit the same attempt again. Where that error says `unstarted`, the
   * runtime has ended what it made, and nothing else can be started by this launch any more.
   * @throws LongshoreError AUTH, NOT_FOUND, IMAGE_PULL, RUNTIME_UNAVAILABLE, VALIDATION or UNKNOWN.
   */
  submit(launch: Launch, signal: AbortSignal): Promise<ExternalRef>;
  status(ref: ExternalRef): Promise<RuntimeStatus>;
  /** As `status`, of many at once, where the runtime can tell it in fewer calls. */
  statusMany?(refs: readonly ExternalRef[]): Promise<Map<ExternalRef, RuntimeStatus>>;
  /**
   * Asks the command to end, kills it after the grace; resolves when it has ended, or, in a home that its runtime tells of
   * ends, when it was asked. False: it had already ended.
   */
  cancel(ref: ExternalRef, graceSeconds: number): Promise<boolean>;
  /**
   * The attempt's output, in batches as it comes: each the lines that one piece of what is read completed, never empty.
   * A part that cannot be read is a `system` line where its place is known, else it throws.
   * @throws LongshoreError RUNTIME_UNAVAILABLE when it may be read later; anything else: the rest never can be.
   */
  logs(ref: ExternalRef, options: LogOptions): AsyncIterable<RuntimeLine[]>;
  /**
   * The files that an attempt which has ended left under some globs, in an order that stays the same, and what of it is
   * refused. Where `capabilities.artifacts` is true, before `cleanup`. An unknown reference is refused as `gone`.
   * @throws LongshoreError RUNTIME_UNAVAILABLE when they may be read later; anything else: the rest never can be.
   */
  artifacts?(ref: ExternalRef, request: ArtifactRequest): AsyncIterable<ArtifactEntry>;
  /** Removes every trace of the attempt: idempotent. */
  cleanup(ref: ExternalRef): Promise<void>;
  health(): Promise<RuntimeHealth>;
  /**
   * What attempts use, where the runtime can tell it: of those that do not run, and of which it cannot, nothing. It is
   * asked when somebody looks, never on a timer. What is not known when the signal aborts is left out.
   */
  usage?(refs: readonly ExternalRef[], signal: AbortSignal): Promise<Map<ExternalRef, RuntimeUsage>>;
  /**
   * The reference behind a deterministic name of this home, if there is one: what a lost submit left. Not what ended before
   * its command was started and of which nothing is left but the runtime's own record.
   */
  find(externalName: string): Promise<ExternalRef | undefined>;
  /** Everything that carries this home's label: the orphan sweep reads it. */
  list(): AsyncIterable<Owned>;
  /** Resolves when the attempt has ended, pushed by the runtime; rejects with the signal's reason. */
  wait(ref: ExternalRef, signal: AbortSignal): Promise<RuntimeStatus>;
  /** Ends connections and watchers; jobs go on. Idempotent. */
  dispose(): Promise<void>;
}

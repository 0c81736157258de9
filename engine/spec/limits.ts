/** The lane of a job whose spec names none. */
export const DEFAULT_LANE = "default";

/** The bounds of a job spec, in one place: the schema, its messages and the documents take them from here. */
export const SPEC_LIMITS = {
  /** Bytes of the normalised spec as JSON in UTF-8. */
  specBytes: 256 * 1024,
  /** How deep and how many the values of a spec may be before nobody looks at them any more. */
  depth: 16,
  values: 256 * 1024,
  /** Violations that one answer lists. */
  violations: 100,
  nameLength: 63,
  envVariables: 1000,
  envNameLength: 256,
  /** Bytes of an environment: each name and value, `=` and the closing NUL, as the kernel counts. */
  envBytes: 128 * 1024,
  secrets: 100,
  /** Linux refuses a single argument of 128 KiB and more (MAX_ARG_STRLEN, its NUL counted). */
  argumentBytes: 128 * 1024 - 1,
  arguments: 4096,
  pathLength: 1024,
  labels: 32,
  /** Bytes of all keys and values of the labels: a job's item holds them, and has to stay small. */
  labelBytes: 1024,
  labelPrefixLength: 253,
  labelLength: 63,
  timeoutSeconds: 2_000_000,
  attempts: 100,
  delaySeconds: 86_400,
  backoff: 10,
  cpu: 1024,
  /** Docker starts no container with less: 0.01 of a CPU, 6 MiB. */
  leastCpu: 0.01,
  leastMemoryMiB: 6,
  memoryMiB: 16 * 1024 * 1024,
  diskMiB: 1024 * 1024 * 1024,
  gpus: 64,
  artifactPaths: 100,
  artifactBytes: 10 * 1024 ** 3,
  /** What the globs of all paths stand for, their braces written out. */
  artifactAlternatives: 256,
  /** Files of one job. */
  artifactFiles: 1000,
  logBytes: 1024 ** 3,
  volumes: 64,
  containers: 16,
  priority: 100,
  stopGraceSeconds: 3600,
  concurrencyKeyBytes: 256,
} as const;

/** Where a secret reference may point; which of them resolve is the home's business. */
export const SECRET_SCHEMES = ["env", "file", "ssm", "secretsmanager", "vault", "keyvault", "gcp"] as const;

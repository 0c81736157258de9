import { z } from "zod";

// STARTING POINT: shapes are right, bounds and messages are to be completed.
const envSchema = z.record(z.string(), z.string());
const secretRef = z.strictObject({ from: z.string() });

/** The job spec as the API takes it, with its defaults. Unknown keys are an error that names the key. */
export const jobSpecSchema = z.strictObject({
  name: z.string().optional(),
  image: z.string().optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).default([]),
  env: envSchema.default({}),
  secrets: z.record(z.string(), secretRef).default({}),
  sensitive: z.array(z.string()).default([]),
  runtime: z.string().optional(),
  resources: z
    .strictObject({
      cpu: z.number().optional(),
      memoryMiB: z.number().optional(),
      diskMiB: z.number().optional(),
      gpu: z.strictObject({ count: z.number(), type: z.string().optional() }).optional(),
    })
    .default({}),
  timeoutSeconds: z.number().default(3600),
  retry: z
    .strictObject({
      maxAttempts: z.number().default(1),
      delaySeconds: z.number().default(5),
      backoff: z.number().default(2),
      maxDelaySeconds: z.number().default(300),
      on: z.array(z.string()).default(["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"]),
    })
    .prefault({}),
  artifacts: z
    .strictObject({ paths: z.array(z.string()), maxBytes: z.number().default(104857600), gzip: z.boolean().default(false) })
    .optional(),
  logs: z.strictObject({ maxBytes: z.number().default(10485760) }).prefault({}),
  volumes: z
    .array(z.strictObject({ source: z.string(), target: z.string(), readOnly: z.boolean().default(false) }))
    .default([]),
  workdir: z.string().optional(),
  user: z.string().optional(),
  network: z.strictObject({ mode: z.enum(["none", "isolated", "workflow"]).default("isolated") }).prefault({}),
  security: z
    .strictObject({ readOnlyRoot: z.boolean().default(false), addCapabilities: z.array(z.string()).default([]) })
    .prefault({}),
  labels: z.record(z.string(), z.string()).default({}),
  lane: z.string().default("default"),
  priority: z.number().default(0),
  concurrencyKey: z.string().optional(),
  stopGraceSeconds: z.number().default(10),
  cleanup: z.enum(["always", "onSuccess", "never"]).default("always"),
  registryAuth: secretRef.optional(),
  sidecars: z.array(z.strictObject({ name: z.string(), image: z.string(), command: z.array(z.string()).optional(), args: z.array(z.string()).optional(), env: envSchema.optional() })).default([]),
  initContainers: z.array(z.strictObject({ name: z.string(), image: z.string(), command: z.array(z.string()).optional(), args: z.array(z.string()).optional(), env: envSchema.optional() })).default([]),
  healthCheck: z.strictObject({ command: z.array(z.string()), intervalSeconds: z.number().default(10), retries: z.number().default(3) }).optional(),
  placement: z.strictObject({ spot: z.boolean().optional(), arch: z.string().optional(), region: z.string().optional(), zone: z.string().optional() }).optional(),
  budget: z.strictObject({ maxCostUsd: z.number(), tag: z.string().optional() }).optional(),
});

/** What a submitter may write. */
export type JobSpecInput = z.input<typeof jobSpecSchema>;
/** An accepted spec: normalised, every default in place. `name` is always set after normalisation. */
export type JobSpec = z.output<typeof jobSpecSchema>;

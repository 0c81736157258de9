import { type Flags, REST } from "./command.ts";

/** What `longshore run` understands. */
export const RUN_FLAGS = {
  image: { type: "positional", required: false, description: "The image; without one the runtime must be process" },
  [REST]: { type: "positional", required: false, description: "The container's arguments; for a process its command" },
  env: { type: "string", alias: "e", multiple: true, valueHint: "K=V", description: "A variable; -e K takes yours" },
  "env-file": { type: "string", multiple: true, valueHint: "file", description: "A file of variables" },
  secret: { type: "string", multiple: true, valueHint: "K=source", description: "A secret, such as K=env:NAME" },
  volume: { type: "string", alias: "v", multiple: true, valueHint: "src:dst[:ro]", description: "A host directory" },
  cpu: { type: "string", valueHint: "cores", description: "CPU limit, such as 0.5" },
  memory: { type: "string", valueHint: "size", description: "Memory limit, such as 256MiB" },
  timeout: { type: "string", valueHint: "span", description: "Longest run, such as 10m" },
  retries: { type: "string", valueHint: "n", description: "Attempts after the first one" },
  runtime: { type: "string", valueHint: "name", description: "Where to run it; default: where it fits" },
  artifact: { type: "string", multiple: true, valueHint: "glob", description: "Files to keep" },
  name: { type: "string", valueHint: "name", description: "The job's name; default: from the image" },
  label: { type: "string", multiple: true, valueHint: "k=v", description: "A label" },
  spec: { type: "string", valueHint: "file", description: "A job spec (YAML or JSON; - is stdin); flags override it" },
  detach: { type: "boolean", description: "Print the job's id and leave" },
  "dry-run": { type: "boolean", description: "Tell what would become of it; run nothing" },
} as const satisfies Flags;

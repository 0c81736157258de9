import type { RuntimeCapabilities, RuntimeConstraints } from "../../../engine/ports/runtime.ts";

/** What this adapter does with a spec, which is less than what Docker could. */
export const CAPABILITIES: RuntimeCapabilities = {
  image: true,
  gpu: false,
  volumes: true,
  sidecars: false,
  initContainers: false,
  healthCheck: false,
  streamingLogs: true,
  artifacts: true,
  spot: false,
  placement: false,
  exec: false,
  cpuLimit: true,
  memoryLimit: true,
  diskLimit: false,
  user: true,
  workdir: true,
  readOnlyRoot: true,
  networkModes: ["none", "isolated"],
  addCapabilities: true,
  registryAuth: true,
};

/** Docker bounds neither time nor memory nor the environment beyond what the machine does. */
export function constraintsFor(maxConcurrent: number): RuntimeConstraints {
  return {
    maxTimeoutSeconds: null,
    maxMemoryMiB: null,
    maxCpu: null,
    maxEnvBytes: null,
    maxArtifactBytes: null,
    maxConcurrent,
  };
}

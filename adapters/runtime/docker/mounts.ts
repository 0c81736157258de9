import { realpathSync } from "node:fs";
import { isAbsolute, sep } from "node:path";
import type { Violation } from "../../../engine/errors.ts";
import type { JobSpec } from "../../../engine/spec/schema.ts";
import { capabilityName, type Placing } from "./spec.ts";

/** What the operator allows. */
export interface Allowed {
  /** Host directories under which volumes may be; none: no volumes. */
  mounts: readonly string[];
  capabilities: readonly string[];
}

/**
 * The spec's volumes with every symbolic link of their sources resolved, and what is wrong with them. It is done at
 * the check and again at the start: a link may have been turned meanwhile. The resolved path is what gets mounted.
 */
export function resolveMounts(spec: JobSpec, allowed: Allowed): { mounts: Placing["mounts"]; violations: Violation[] } {
  const roots = allowed.mounts.map((root) => real(root)).filter((root) => root !== undefined);
  const violations: Violation[] = [];
  const mounts: { source: string; target: string; readOnly: boolean }[] = [];
  for (const [index, volume] of spec.volumes.entries()) {
    const path = `volumes.${index}.source`;
    const source = isAbsolute(volume.source) ? real(volume.source) : undefined;
    if (source !== undefined && roots.some((root) => isUnder(source, root))) {
      mounts.push({ source, target: volume.target, readOnly: volume.readOnly });
    } else {
      // The same words whether it exists or not: a submitter learns nothing about the host's other directories.
      const message = `docker: ${volume.source} is nothing under the host directories that the operator allows for volumes`;
      violations.push({ path, code: "not_allowed", message });
    }
  }
  return { mounts, violations };
}

/** What of a spec the operator's settings do not allow. */
export function violationsOf(spec: JobSpec, allowed: Allowed): Violation[] {
  const { violations } = resolveMounts(spec, allowed);
  const capabilities = new Set(allowed.capabilities.map(capabilityName));
  for (const [index, name] of spec.security.addCapabilities.entries()) {
    if (capabilities.has(capabilityName(name))) continue;
    const message = `docker: the operator does not allow the capability ${name}`;
    violations.push({ path: `security.addCapabilities.${index}`, code: "not_allowed", message });
  }
  return violations;
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Not there, a loop of links, or not for us to see: in no case something to mount.
    return undefined;
  }
}

function isUnder(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

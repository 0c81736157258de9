import { statfs } from "node:fs/promises";
import type { HealthCheck } from "../engine/operations/health.ts";
import type { Objects } from "../engine/ports/objects.ts";

/** Below this a log or an image that is a little larger fills the disk, bytes. */
const LEAST_FREE_BYTES = 256 * 1024 * 1024;
const BYTES_PER_MIB = 1024 * 1024;
/** One small object that is written again each time. */
const PROBE_KEY = "health/probe";
/** A sweep that did not end within so many of its turns, and not within a minute, is stuck. */
const TURNS = 4;
const LEAST_MS = 60_000;

export interface HomeParts {
  objects: Objects;
  /** The data directory. */
  directory: string;
  everySeconds: number;
  openedAtMs: number;
  /** When the last sweep ended, ms since the epoch. */
  sweptAtMs(): number | undefined;
  clock(): number;
}

/** What the home on one machine looks at of itself, each in a few milliseconds. */
export function homeChecks(parts: HomeParts): (() => Promise<HealthCheck>)[] {
  return [
    () => checkObjects(parts.objects, parts.clock),
    () => checkDisk(parts.directory),
    async () => checkSweep(parts),
  ];
}

async function checkObjects(objects: Objects, clock: () => number): Promise<HealthCheck> {
  try {
    await objects.put(PROBE_KEY, Buffer.from(new Date(clock()).toISOString()));
    const found = await objects.get(PROBE_KEY);
    if (found === undefined) return { name: "objects", ok: false, message: "what was stored is not there" };
    for await (const _ of found.body);
    return { name: "objects", ok: true, message: "objects are stored and read" };
  } catch (error) {
    // The system's code only: its message would hold a path.
    return { name: "objects", ok: false, message: `objects cannot be stored (${codeOf(error)})` };
  }
}

async function checkDisk(directory: string): Promise<HealthCheck> {
  try {
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    const message = `${Math.floor(free / BYTES_PER_MIB)} MiB are free for the data`;
    return { name: "disk", ok: free >= LEAST_FREE_BYTES, message };
  } catch (error) {
    return { name: "disk", ok: false, message: `the disk of the data cannot be looked at (${codeOf(error)})` };
  }
}

function checkSweep({ everySeconds, openedAtMs, sweptAtMs, clock }: HomeParts): HealthCheck {
  const sinceMs = sweptAtMs();
  const ageMs = Math.max(0, clock() - (sinceMs ?? openedAtMs));
  const ok = ageMs <= Math.max(TURNS * everySeconds * 1000, LEAST_MS);
  const age = `${Math.floor(ageMs / 1000)} s`;
  const message =
    sinceMs === undefined ? `no sweep has ended since the start ${age} ago` : `the last sweep ended ${age} ago`;
  return { name: "sweep", ok, message };
}

function codeOf(error: unknown): string {
  const { providerCode, code } = (error ?? {}) as { providerCode?: unknown; code?: unknown };
  const found = [providerCode, code].find((one) => typeof one === "string");
  return typeof found === "string" ? found : "UNKNOWN";
}

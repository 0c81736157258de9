import { setTimeout as delay } from "node:timers/promises";
import type { ContainerInspectInfo } from "dockerode";
import { SHUTDOWN } from "../../../engine/abort.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef, Launch } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { engineMessage, httpStatus, refusal } from "./errors.ts";
import { type Allowed, resolveMounts, violationsOf } from "./mounts.ts";
import type { Networks } from "./networks.ts";
import { hasImage, pullImage } from "./pull.ts";
import { createOptions, imageReference, isSameAttempt } from "./spec.ts";

/** How often an image or a network may vanish under a launch before it gives up. */
const MAX_REPAIRS = 3;
/** A name is taken from the moment its container is begun, and found once it is made: 30 s of looking again. */
const NAME_TRIES = 600;
const NAME_RETRY_MS = 50;

export interface Starter {
  engine: Engine;
  networks: Networks;
  homeId: string;
  allowed: Allowed;
  pidsLimit: number;
  clock: Clock;
}

interface Found {
  ref: ExternalRef;
  /** What an adopted container's state was: only one that is `created` may still be started. */
  state: ContainerInspectInfo["State"]["Status"];
}

/** `RuntimeAdapter.submit` for Docker. */
export async function submitContainer(starter: Starter, launch: Launch, signal: AbortSignal): Promise<ExternalRef> {
  signal.throwIfAborted();
  const image = launch.spec.image ?? "";
  const violations = violationsOf(launch.spec, starter.allowed);
  const present = violations.length === 0 && (await hasImage(starter.engine, imageReference(image)));
  // What an earlier submit has made stands, whatever became of the image or the operator's settings since.
  const earlier = present ? undefined : await findSame(starter, launch);
  if (earlier === undefined && violations.length > 0) throw forbidden(violations);
  launch.report({ phase: "pulling", data: { image, present: present || earlier !== undefined } });
  if (!present && earlier === undefined) await pullImage(starter.engine, launch, { signal, clock: starter.clock });
  signal.throwIfAborted();
  launch.report({ phase: "creating" });
  for (let repairs = 0; ; repairs += 1) {
    try {
      return await begin(starter, launch, { signal, earlier });
    } catch (error) {
      signal.throwIfAborted();
      if (repairs === MAX_REPAIRS || !(await repair(starter, launch, { signal, error }))) throw refusal(error, launch);
    }
  }
}

/** Creates or adopts, and starts. What it made is gone again when it throws, unless Longshore is shutting down. */
async function begin(
  starter: Starter,
  launch: Launch,
  { signal, earlier }: { signal: AbortSignal; earlier: Found | undefined },
): Promise<ExternalRef> {
  const { ref, state } = earlier ?? (await createOrAdopt(starter, launch, signal));
  if (state !== "created") return ref;
  try {
    signal.throwIfAborted();
    await startContainer(starter.engine, ref);
    signal.throwIfAborted();
    return ref;
  } catch (error) {
    if (signal.aborted && signal.reason === SHUTDOWN) throw error;
    // Why the start failed tells more than why Docker would not remove the rest, which cleanup finds by its name.
    await removeContainer(starter.engine, ref).catch(() => undefined);
    throw error;
  }
}

async function createOrAdopt(starter: Starter, launch: Launch, signal: AbortSignal): Promise<Found> {
  const { mode } = launch.spec.network;
  const networkMode = mode === "none" ? "none" : await starter.networks.idFor(launch.externalName);
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    // Again, since a link may have been turned since the check: what is mounted is what was resolved here.
    const { mounts, violations } = resolveMounts(launch.spec, starter.allowed);
    if (violations.length > 0) throw forbidden(violations);
    const options = createOptions(launch, {
      homeId: starter.homeId,
      pidsLimit: starter.pidsLimit,
      networkMode,
      mounts,
    });
    try {
      const made = await starter.engine.call((client) => client.createContainer(options));
      return { ref: made.id, state: "created" };
    } catch (error) {
      if (httpStatus(error) !== 409) throw error;
      const same = await findSame(starter, launch);
      if (same !== undefined) return same;
      if (tries === NAME_TRIES) throw error;
      await delay(NAME_RETRY_MS);
    }
  }
}

/**
 * The container that has the launch's name, if there is one and it is this attempt's.
 * @throws LongshoreError UNKNOWN when it is somebody else's.
 */
async function findSame({ engine, homeId }: Starter, launch: Launch): Promise<Found | undefined> {
  const found = await inspectContainer(engine, launch.externalName);
  if (found === undefined) return undefined;
  if (isSameAttempt(found.Config.Labels ?? {}, launch, homeId)) return { ref: found.Id, state: found.State.Status };
  const message = `something else on this Docker Engine has the name ${launch.externalName}`;
  throw new LongshoreError("UNKNOWN", message, { providerCode: "409" });
}

/** Whether the failure was of a kind that one more try may mend, and what it needed for it is done. */
async function repair(
  starter: Starter,
  launch: Launch,
  { signal, error }: { signal: AbortSignal; error: unknown },
): Promise<boolean> {
  if (httpStatus(error) !== 404) return false;
  const said = engineMessage(error);
  if (/no such image/i.test(said)) {
    await pullImage(starter.engine, launch, { signal, clock: starter.clock });
    return true;
  }
  if (/network .*not found/i.test(said)) {
    starter.networks.invalidate();
    return true;
  }
  return false;
}

function forbidden(violations: ReturnType<typeof violationsOf>): LongshoreError {
  const message = violations.map((violation) => `${violation.path}: ${violation.message}`).join("; ");
  return new LongshoreError("VALIDATION", message, { violations });
}

async function startContainer(engine: Engine, ref: ExternalRef): Promise<void> {
  try {
    await engine.call((client, abortSignal) => client.getContainer(ref).start({ abortSignal }));
  } catch (error) {
    // Another submit of the same attempt started it.
    if (httpStatus(error) !== 304) throw error;
  }
}

/** The engine's answer for a container's id or name; undefined when there is none. */
export async function inspectContainer(engine: Engine, idOrName: string): Promise<ContainerInspectInfo | undefined> {
  try {
    return await engine.call((client, abortSignal) => client.getContainer(idOrName).inspect({ abortSignal }));
  } catch (error) {
    if (httpStatus(error) === 404) return undefined;
    throw error;
  }
}

/** Kills and removes a container with its anonymous volumes; resolves when it is gone, whoever removed it. */
export async function removeContainer(engine: Engine, ref: ExternalRef): Promise<void> {
  try {
    await engine.call((client, abortSignal) => client.getContainer(ref).remove({ force: true, v: true, abortSignal }));
  } catch (error) {
    const status = httpStatus(error);
    if (status === 404) return;
    if (status !== 409) throw error;
    await removed(engine, ref);
  }
}

/** Somebody else's removal is under way. */
async function removed(engine: Engine, ref: ExternalRef): Promise<void> {
  try {
    await engine.call((client, abortSignal) => client.getContainer(ref).wait({ condition: "removed", abortSignal }));
  } catch (error) {
    if (httpStatus(error) !== 404) throw error;
  }
}

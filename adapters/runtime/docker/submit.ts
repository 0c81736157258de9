import { setTimeout as delay } from "node:timers/promises";
import type { ContainerInspectInfo } from "dockerode";
import { SHUTDOWN } from "../../../engine/abort.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef, Launch } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { engineMessage, httpStatus, refusal, wentAway } from "./errors.ts";
import { type Allowed, resolveMounts, violationsOf } from "./mounts.ts";
import type { Networks } from "./networks.ts";
import { pullImage } from "./pull.ts";
import { createOptions, isSameAttempt } from "./spec.ts";

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
  /** Names of containers during whose start the engine went away: what it says of them afterwards proves nothing. */
  doubtful: Set<string>;
}

/**
 * Docker starts a container that has ended again, so nobody but its maker may start one, and only by its id: once it is
 * removed the start finds nothing. The maker gives it up after so long; whoever else finds one that is not started watches
 * it for twice as long, removes it, and makes another.
 */
const MAKER_MS = 7_500;
const MAKER_LOOK_MS = 100;

interface Found {
  ref: ExternalRef;
  state: ContainerInspectInfo["State"]["Status"];
}

/** The attempt's container, and whether this launch has made it: then it is this launch that starts it. */
interface Startable {
  ref: ExternalRef;
  isOurs: boolean;
}

/**
 * `RuntimeAdapter.submit` for Docker. The container is made first and the image pulled only when the engine lacks it:
 * asking for the image beforehand would cost every launch about a twentieth of its start.
 */
export async function submitContainer(starter: Starter, launch: Launch, signal: AbortSignal): Promise<ExternalRef> {
  signal.throwIfAborted();
  const violations = violationsOf(launch.spec, starter.allowed);
  // What an earlier submit has made stands, whatever became of the image or the operator's settings since.
  let earlier = violations.length > 0 ? await findSame(starter, launch) : undefined;
  if (earlier === undefined && violations.length > 0) throw forbidden(violations);
  if (starter.doubtful.has(launch.externalName)) earlier = await startedAfterAll(starter, launch);
  const reports = createReports(launch);
  for (let repairs = 0; ; repairs += 1) {
    try {
      return await begin(starter, launch, { signal, earlier, reports });
    } catch (error) {
      signal.throwIfAborted();
      if (repairs === MAX_REPAIRS) throw refusal(error, launch);
      if (lacksImage(error)) {
        earlier = await findSame(starter, launch);
        if (earlier !== undefined) continue;
        reports.pulling(false);
        await pullImage(starter.engine, launch, { signal, clock: starter.clock });
      } else if (lacksNetwork(error)) {
        starter.networks.invalidate();
        await delay(NAME_RETRY_MS);
      } else if (isTakenAway(error)) {
        await delay(NAME_RETRY_MS);
      } else throw refusal(error, launch);
    }
  }
}

/**
 * The container of a start during which the engine went away, when it was started after all.
 * @throws LongshoreError UNKNOWN when nobody can tell: the engine may have forgotten that it was, and it must not be twice.
 */
async function startedAfterAll(starter: Starter, launch: Launch): Promise<Found> {
  const found = await findSame(starter, launch);
  starter.doubtful.delete(launch.externalName);
  if (found !== undefined && found.state !== "created") return found;
  if (found !== undefined) await removeContainer(starter.engine, found.ref);
  const message = "Docker went away while it started the container, and nobody can tell any more whether it did";
  throw new LongshoreError("UNKNOWN", message, { providerCode: "START_LOST" });
}

/** Each phase of a launch is reported once, in order, however often its steps are repeated. */
interface Reports {
  pulling(present: boolean): void;
  creating(): void;
}

function createReports(launch: Launch): Reports {
  const said = new Set<string>();
  const report = (phase: "pulling" | "creating", data?: Record<string, unknown>) => {
    if (said.has(phase)) return;
    said.add(phase);
    launch.report(data === undefined ? { phase } : { phase, data });
  };
  return {
    pulling: (present) => report("pulling", { image: launch.spec.image ?? "", present }),
    creating: () => report("creating"),
  };
}

/**
 * Creates or adopts, and starts. What it made is gone again when it throws, unless Longshore is shutting down or the
 * engine did not answer the start.
 */
async function begin(
  starter: Starter,
  launch: Launch,
  { signal, earlier, reports }: { signal: AbortSignal; earlier: Found | undefined; reports: Reports },
): Promise<ExternalRef> {
  const adopted = earlier && (await settled(starter, launch, { found: earlier, signal }));
  const { ref, isOurs } = adopted ?? (await createOrAdopt(starter, launch, signal));
  const madeAtMs = starter.clock();
  reports.pulling(true);
  reports.creating();
  if (!isOurs) return ref;
  let asked = false;
  try {
    signal.throwIfAborted();
    await launch.confirm();
    signal.throwIfAborted();
    if (starter.clock() - madeAtMs > MAKER_MS) throw new TooLate("the container was made too long ago");
    asked = true;
    await startContainer(starter.engine, ref);
    signal.throwIfAborted();
    return ref;
  } catch (error) {
    if (asked && wentAway(error)) starter.doubtful.add(launch.externalName);
    if (signal.aborted && signal.reason === SHUTDOWN) throw error;
    // A start that was not answered may have taken effect: what became of it is seen by what is left.
    if (!signal.aborted && asked && httpStatus(error) === undefined) throw error;
    // Why the start failed tells more than why Docker would not remove the rest, which cleanup finds by its name.
    await removeContainer(starter.engine, ref).catch(() => undefined);
    throw error;
  }
}

/** Another launch may have taken the container for abandoned. */
class TooLate extends Error {
  override name = "TooLate";
}

/** What this launch had made was removed before it was started. */
function isTakenAway(error: unknown): boolean {
  if (error instanceof TooLate) return true;
  const said = engineMessage(error);
  return httpStatus(error) === 404 ? /no such container/i.test(said) : /marked for removal/i.test(said);
}

async function createOrAdopt(starter: Starter, launch: Launch, signal: AbortSignal): Promise<Startable> {
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
      return { ref: made.id, isOurs: true };
    } catch (error) {
      if (httpStatus(error) !== 409) throw error;
      const same = await findSame(starter, launch);
      const adopted = same && (await settled(starter, launch, { found: same, signal }));
      if (adopted !== undefined) return adopted;
      if (tries === NAME_TRIES) throw error;
      await delay(NAME_RETRY_MS);
    }
  }
}

/** Waits for the maker of a container to start it; undefined when it is removed instead, here or elsewhere. */
async function settled(
  starter: Starter,
  launch: Launch,
  { found, signal }: { found: Found; signal: AbortSignal },
): Promise<Startable | undefined> {
  let current: Found | undefined = found;
  let lookingSinceMs = starter.clock();
  while (current?.state === "created") {
    const ref: ExternalRef = current.ref;
    if (starter.clock() - lookingSinceMs >= 2 * MAKER_MS) await removeUnstarted(starter.engine, ref);
    else await delay(MAKER_LOOK_MS);
    signal.throwIfAborted();
    current = await findSame(starter, launch);
    // Its maker has begun anew, and has as much time for that.
    if (current?.ref !== ref) lookingSinceMs = starter.clock();
  }
  return current && { ref: current.ref, isOurs: false };
}

/**
 * The container that has the launch's name, if there is one and it is this attempt's.
 * @throws LongshoreError UNKNOWN when it is somebody else's.
 */
async function findSame({ engine, homeId }: Starter, launch: Launch): Promise<Found | undefined> {
  const found = await inspectContainer(engine, launch.externalName);
  if (found === undefined) return undefined;
  if (isSameAttempt(found.Config.Labels ?? {}, launch, homeId)) {
    return { ref: found.Id, state: found.State.Status };
  }
  const message = `something else on this Docker Engine has the name ${launch.externalName}`;
  throw new LongshoreError("UNKNOWN", message, { providerCode: "409" });
}

function lacksImage(error: unknown): boolean {
  return httpStatus(error) === 404 && /no such image/i.test(engineMessage(error));
}

/** Somebody removed the bridge meanwhile, or made a second one that is about to be removed: it is asked for anew. */
function lacksNetwork(error: unknown): boolean {
  const said = engineMessage(error);
  return (httpStatus(error) === 404 && /network .*not found/i.test(said)) || /network .*is ambiguous/i.test(said);
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

/** Removes a container that was not started; one that was started meanwhile stays as it is. */
async function removeUnstarted(engine: Engine, ref: ExternalRef): Promise<void> {
  try {
    await engine.call((client, abortSignal) => client.getContainer(ref).remove({ v: true, abortSignal }));
  } catch (error) {
    const status = httpStatus(error);
    if (status !== 404 && status !== 409) throw error;
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

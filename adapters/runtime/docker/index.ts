import type { ContainerInspectInfo } from "dockerode";
import { goneFrom } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { LABELS } from "../../../engine/naming.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef, Owned, RuntimeAdapter, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { readArtifacts } from "./artifacts.ts";
import { createEngine, type EngineAddress } from "./client.ts";
import { engineFailure, httpStatus } from "./errors.ts";
import { createWatcher } from "./events.ts";
import { CAPABILITIES, constraintsFor } from "./features.ts";
import { readLog } from "./logs.ts";
import { violationsOf } from "./mounts.ts";
import { createNetworks } from "./networks.ts";
import { DAEMON_EXIT_CODES, endedStatus, isKept, statusOf, UNKNOWN_STATUS } from "./spec.ts";
import { inspectContainer, removeContainer, submitContainer } from "./submit.ts";
import { readUsage } from "./usage.ts";
import { untilAborted } from "./waiting.ts";

export { usualSockets } from "./client.ts";

const HEALTH_LIMIT_MS = 2_000;
/** Beyond the grace: for the kill and what the engine has to tidy up. */
const STOP_ALLOWANCE_MS = 120_000;
const DEFAULT_MAX_CONCURRENT = 64;
const DEFAULT_PIDS_LIMIT = 512;
/** Waiting for a container that the engine says has ended and still shows as running, or that it cannot show. */
const LOOK_AGAIN_MS = 50;
const MAX_LOOK_AGAIN_MS = 5_000;
/** How long after an end by SIGKILL the engine may still tell that memory ran out. */
const OOM_LATE_MS = 500;
const CONTAINER_ID = /^[0-9a-f]{64}$/;
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export interface DockerRuntimeOptions extends EngineAddress {
  /** The home whose containers these are; no other is ever touched. */
  homeId: string;
  /** Host directories under which volumes may be; empty: no volumes. */
  allowedMounts: readonly string[];
  /** Capabilities that a spec may add; default none. */
  allowedCapabilities?: readonly string[];
  /** Jobs at once; default 64. */
  maxConcurrent?: number;
  /** Processes and threads a container; default 512. */
  pidsLimit?: number;
  /** Default: the machine's. */
  clock?: Clock;
}

/**
 * Runs attempts as containers of a Docker Engine: https://docs.docker.com/reference/api/engine/
 * It connects when it is first used; `dispose` must be called.
 * @throws LongshoreError VALIDATION for options that cannot be understood.
 */
export function createDockerRuntime(options: DockerRuntimeOptions): RuntimeAdapter {
  const { homeId, clock = Date.now } = options;
  const maxConcurrent = positive("maxConcurrent", options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT);
  const pidsLimit = positive("pidsLimit", options.pidsLimit ?? DEFAULT_PIDS_LIMIT);
  const allowed = { mounts: options.allowedMounts, capabilities: options.allowedCapabilities ?? [] };
  const ofHome = `${LABELS.home}=${homeId}`;
  const engine = createEngine(options);
  const networks = createNetworks(engine, homeId, maxConcurrent);
  /** What Longshore itself asked to end: its exit is nobody's failure. */
  const cancelled = new Set<ExternalRef>();
  /** Ended, and not yet said to have. */
  const held = new Set<ExternalRef>();
  const watcher = createWatcher({ engine, homeId, clock, alive, isCancelled: (ref) => cancelled.has(ref) });
  const starter = { engine, networks, homeId, allowed, pidsLimit, clock, doubtful: new Set<string>() };
  /** Settles when nobody submits under the name any more. */
  const launching = new Map<string, Promise<void>>();
  /** What this process made or found itself: whose it is need not be asked again. */
  const own = new Set<ExternalRef>();
  /** The last answer about each listed container; good until its state changes. */
  const listed = new Map<ExternalRef, { state: string; status: RuntimeStatus }>();
  /** How often the archives of a container broke off. */
  const breaks = new Map<ExternalRef, number>();
  let disposing: Promise<void> | undefined;

  async function alive(): Promise<Set<ExternalRef>> {
    const filters = { label: [ofHome], status: ["created", "running", "paused", "restarting"] };
    const found = await engine.call((client, abortSignal) =>
      client.listContainers({ all: true, filters, abortSignal }),
    );
    return new Set(found.map((one) => one.Id));
  }

  /** The container behind a reference, if it is there and this home's. */
  const inspectOwn = async (ref: ExternalRef): Promise<ContainerInspectInfo | undefined> => {
    if (!CONTAINER_ID.test(ref)) return undefined;
    const found = await inspectContainer(engine, ref).catch((error: unknown) => {
      throw engineFailure(error, "show a container");
    });
    return found?.Config.Labels?.[LABELS.home] === homeId ? found : undefined;
  };
  const classify = (found: ContainerInspectInfo): RuntimeStatus => {
    // Whoever asks is told the same times as those who waited.
    const well = watcher.endedWell(found.Id);
    if (well !== undefined && !found.State.Running) return endedStatus(well);
    const finishedAtMs = Date.parse(found.State.FinishedAt);
    const current = statusOf(found, {
      lost: watcher.wasLost(found.Id, finishedAtMs),
      cancelled: cancelled.has(found.Id),
      oomSeen: watcher.ranOutOfMemory(found.Id),
    });
    held.delete(found.Id);
    if (current.phase !== "exited" || current.oom) return current;
    const byDaemon = DAEMON_EXIT_CODES.includes(current.exitCode ?? 0) && !cancelled.has(found.Id);
    // The kernel's word that memory ran out comes on a way of its own, and may come after that of the end.
    const oomMayCome = byDaemon && current.exitCode === 137 && Math.abs(clock() - finishedAtMs) < OOM_LATE_MS;
    // What a status says of an end must never change, so until that is decided there is no end.
    if (!oomMayCome && !watcher.isUndecided(found.Id, byDaemon ? finishedAtMs : undefined)) return current;
    held.add(found.Id);
    return { ...UNKNOWN_STATUS, phase: "running", startedAt: current.startedAt };
  };
  const status = async (ref: ExternalRef): Promise<RuntimeStatus> => {
    const found = await inspectOwn(ref);
    return found === undefined ? UNKNOWN_STATUS : classify(found);
  };

  const wait = async (ref: ExternalRef, signal: AbortSignal): Promise<RuntimeStatus> => {
    signal.throwIfAborted();
    if (!CONTAINER_ID.test(ref)) return UNKNOWN_STATUS;
    const vigil = watcher.watch(ref);
    try {
      await vigil.ready(signal);
      for (let limitMs: number | undefined, looks = 0; ; looks += 1) {
        const well = watcher.endedWell(ref);
        if (well !== undefined) return endedStatus(well);
        // An engine that is tidying up after a container answers no question about it, but it has told of the end.
        let wasTold = false;
        const told = vigil.next(signal).then(() => {
          wasTold = true;
        });
        // An engine that cannot answer now is waited for: the watcher wakes everybody it has lost when it is back.
        const looking = status(ref).catch(unlessDisposed);
        // Whichever of the two loses may still fail, and nobody will be there to hear of it.
        for (const asked of [told, looking]) asked.catch(() => undefined);
        await untilAborted(Promise.race([looking, told]), signal);
        if (watcher.endedWell(ref) !== undefined) continue;
        const seen = await untilAborted(looking, signal);
        if (seen?.phase === "exited" || seen?.phase === "unknown") return seen;
        // What it showed may be older than what it told meanwhile.
        const doubtful = seen === undefined || wasTold || looks > 0 || held.has(ref);
        limitMs = doubtful ? Math.min((limitMs ?? LOOK_AGAIN_MS) * 2, MAX_LOOK_AGAIN_MS) : undefined;
        await vigil.next(signal, limitMs);
      }
    } finally {
      vigil.release();
    }
  };
  const unlessDisposed = (error: unknown): undefined => {
    if (disposing !== undefined) throw error;
    return undefined;
  };

  return {
    name: "docker",
    kind: "docker",
    explicitOnly: false,
    capabilities: CAPABILITIES,
    constraints: constraintsFor(maxConcurrent),
    check: (spec) => violationsOf(spec, allowed),
    async submit(launch, signal) {
      signal.throwIfAborted();
      watcher.start();
      // One after the other by name: the later ones find what the first has made, and started.
      const before = launching.get(launch.externalName);
      const submitted = untilAborted(Promise.resolve(before), signal).then(() =>
        submitContainer(starter, launch, signal),
      );
      const done = Promise.allSettled([before, submitted]).then(() => undefined);
      launching.set(launch.externalName, done);
      try {
        const ref = await submitted;
        own.add(ref);
        return ref;
      } finally {
        if (launching.get(launch.externalName) === done) launching.delete(launch.externalName);
      }
    },
    status,
    wait,

    async cancel(ref, graceSeconds) {
      const found = await inspectOwn(ref);
      if (found === undefined || !found.State.Running) return false;
      cancelled.add(ref);
      const t = Math.ceil(graceSeconds);
      try {
        const limitMs = t * 1000 + STOP_ALLOWANCE_MS;
        await engine.call((client, abortSignal) => client.getContainer(ref).stop({ t, abortSignal }), limitMs);
        return true;
      } catch (error) {
        if (httpStatus(error) === 304 || httpStatus(error) === 404) return false;
        throw engineFailure(error, "stop a container");
      }
    },

    async *logs(ref, logOptions) {
      logOptions.signal?.throwIfAborted();
      // An engine that is tidying up after a container answers no question about it, but shows its log.
      const known = own.has(ref) && watcher.endedWell(ref) !== undefined;
      const found = known ? undefined : await inspectOwn(ref);
      if (!known && found === undefined) return;
      yield* readLog(engine, ref, { ...logOptions, ended: known || found?.State.Running !== true });
    },

    async *artifacts(ref, request) {
      const container = await inspectOwn(ref);
      if (container === undefined) yield { kind: "refused", ...goneFrom(request) };
      else yield* readArtifacts(engine, { container, breaks }, request);
    },

    async cleanup(ref) {
      if (!own.has(ref) && (await inspectOwn(ref)) === undefined) return;
      cancelled.add(ref);
      await removeContainer(engine, ref).catch((error: unknown) => {
        throw engineFailure(error, "remove a container");
      });
      cancelled.delete(ref);
      held.delete(ref);
      own.delete(ref);
      breaks.delete(ref);
      watcher.forget(ref);
    },

    async health() {
      try {
        const version = await engine.call((client) => client.version(), HEALTH_LIMIT_MS);
        return { ok: true, message: `Docker Engine ${version.Version}` };
      } catch (error) {
        return { ok: false, message: engineFailure(error, "tell its version").message };
      }
    },

    async usage(refs, signal) {
      const running = await alive().catch((error: unknown) => {
        throw engineFailure(error, "list containers");
      });
      return await readUsage(
        engine,
        refs.filter((ref) => running.has(ref)),
        signal,
      );
    },

    async find(externalName) {
      if (!DNS_LABEL.test(externalName)) return undefined;
      const found = await inspectContainer(engine, externalName).catch((error: unknown) => {
        throw engineFailure(error, "show a container");
      });
      // The engine also takes the beginning of an id for a name.
      if (found?.Name !== `/${externalName}` || found.Config.Labels?.[LABELS.home] !== homeId) return undefined;
      return found.Id;
    },

    async *list(): AsyncGenerator<Owned, void, undefined> {
      const filters = { label: [ofHome, LABELS.job] };
      const found = await engine
        .call((client, abortSignal) => client.listContainers({ all: true, filters, abortSignal }))
        .catch((error: unknown) => {
          throw engineFailure(error, "list containers");
        });
      const present = new Set(found.map((one) => one.Id));
      for (const ref of listed.keys()) if (!present.has(ref)) listed.delete(ref);
      for (const { Id: ref, Names, State: state, Labels } of found) {
        // Only what changed since the last sweep is asked for one by one.
        const before = listed.get(ref);
        const current = before?.state === state ? before.status : await status(ref);
        if (current.phase === "unknown") continue;
        listed.set(ref, { state, status: current });
        yield {
          ref,
          externalName: (Names[0] ?? "").replace(/^\//, ""),
          jobId: Labels[LABELS.job] ?? "",
          attempt: Number(Labels[LABELS.attempt]),
          status: current,
          kept: isKept(Labels[LABELS.cleanup], current),
        };
      }
    },

    async dispose() {
      disposing ??= (async () => {
        await watcher.close(new LongshoreError("RUNTIME_UNAVAILABLE", "the docker adapter was disposed of"));
        // A bridge that stays is found again by the next start of this home; an engine that is away keeps it.
        await untilAborted(networks.removeUnused(), AbortSignal.timeout(HEALTH_LIMIT_MS)).catch(() => undefined);
        engine.close();
      })();
      await disposing;
    },
  };
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new LongshoreError("VALIDATION", `docker: ${name} must be a whole number above 0`);
}

import { setTimeout as delay } from "node:timers/promises";
import { DescribeClustersCommand, type Task } from "@aws-sdk/client-ecs";
import { LongshoreError } from "../../../engine/errors.ts";
import { LABELS } from "../../../engine/naming.ts";
import type { ExternalRef, Owned, RuntimeAdapter, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { createBelongings } from "./belongings.ts";
import { createClients, type GivenClients } from "./clients.ts";
import { aboutEcs } from "./features.ts";
import { readStream } from "./logs.ts";
import { createMemory } from "./memory.ts";
import { attemptOfFamily, familyOf, identityOf, isName, isTaskArn, streamOf, tagged } from "./names.ts";
import { type EcsRuntimeOptions, placeOf } from "./options.ts";
import { ecsFailure } from "./refusals.ts";
import { endedUnstarted, isKept, statusOf, UNKNOWN_STATUS } from "./status.ts";
import { removeStream, tasksWithLog } from "./streams.ts";
import { submitTask } from "./submit.ts";
import { createTasks, MAX_DESCRIBED } from "./tasks.ts";
import { createVigil } from "./vigil.ts";

export type { EcsRuntimeOptions } from "./options.ts";

const DEFAULTS = { pollMs: 3_000, logDelayMs: 3_000, consistencyMs: 30_000 };

/**
 * Runs attempts as tasks of Amazon ECS, on Fargate or on instances of one's own:
 * https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
 * A reference is a task's ARN, or an external name where there is no task and something of its attempt is left. The grace
 * of a cancel is the spec's: ECS fixes it when the task is started. `dispose` must be called.
 * @param clients default: clients with Longshore's own timeouts.
 * @throws LongshoreError VALIDATION for options that cannot be understood.
 */
export function createEcsRuntime(options: EcsRuntimeOptions, clients: GivenClients = {}): RuntimeAdapter {
  const about = aboutEcs(options);
  const { homeId, clusterArn, logGroup, clock = Date.now } = options;
  const { pollMs, logDelayMs, consistencyMs } = { ...DEFAULTS, ...options };
  const place = placeOf(clusterArn);
  const services = createClients(place.region, clients);
  const tasks = createTasks(services.ecs, options);
  const belongings = createBelongings(services, options);
  const memory = createMemory({ clock, consistencyMs });
  const vigil = createVigil(lookAll, pollMs);
  const starter = {
    ecs: services.ecs,
    settings: options,
    tasks,
    belongings,
    memory,
    vigil,
    findTask,
    pollMs,
    clock,
  };
  const closing = new AbortController();

  /** This home's tasks, with those that ECS has just made and does not show yet. */
  async function lookAll(refs: readonly ExternalRef[]): Promise<Map<ExternalRef, Task>> {
    const asked = refs.filter((ref) => isTaskArn(ref, place) && !memory.isCleaned(ref));
    const found = await tasks.describeOwn(asked);
    for (const taskArn of asked) {
      if (!found.has(taskArn) && memory.isFresh(taskArn)) found.set(taskArn, { taskArn, lastStatus: "PROVISIONING" });
    }
    return found;
  }
  async function look(ref: ExternalRef): Promise<Task | undefined> {
    return (await lookAll([ref])).get(ref);
  }

  /** The task that was started under the name, or may be: of those that ended before that, none. */
  async function findTask(externalName: string): Promise<ExternalRef | undefined> {
    const known = memory.refOf(externalName);
    const remembered = known === undefined ? undefined : await look(known);
    if (remembered !== undefined && !endedUnstarted(remembered)) return known;
    for (;;) {
      const found = await lookAll(await tasks.startedBy(externalName));
      for (const [ref, task] of found) if (!endedUnstarted(task)) return ref;
      // Whoever asks after a call whose answer was lost must not be told too early that nothing was started.
      if (memory.doubtfulUntil(externalName) === undefined) break;
      await delay(pollMs, undefined, { signal: closing.signal }).catch(() => closing.signal.throwIfAborted());
    }
    // ECS lists tasks that have ended by no name: those of the last hour are looked through.
    for await (const refs of tasks.list("STOPPED")) {
      for (const [ref, task] of await lookAll(refs)) {
        if (task.startedBy === externalName && !endedUnstarted(task)) return ref;
      }
    }
    return undefined;
  }

  async function isLeft(externalName: string): Promise<boolean> {
    if (!isName(externalName)) return false;
    for await (const _ of belongings.left(externalName)) return true;
    return false;
  }

  async function status(ref: ExternalRef): Promise<RuntimeStatus> {
    if (isTaskArn(ref, place)) return statusOf(await look(ref));
    return (await isLeft(ref)) ? { ...UNKNOWN_STATUS, phase: "created" } : UNKNOWN_STATUS;
  }

  const hasEnded = (task: Task | undefined) => task === undefined || task.lastStatus === "STOPPED";

  /** Resolves when ECS says that the task has ended. */
  async function stopped(ref: ExternalRef): Promise<void> {
    await tasks.stop(ref);
    await vigil.until(ref, hasEnded);
  }

  /** Ms until all that a task wrote is in its log; null while it goes on. */
  async function untilLogged(ref: ExternalRef): Promise<number | null> {
    const { phase, finishedAt } = statusOf(await look(ref));
    if (phase === "unknown") return 0;
    if (phase !== "exited") return null;
    return Math.max(0, Date.parse(finishedAt ?? "1970-01-01") + logDelayMs - clock());
  }

  async function removeLeft(externalName: string): Promise<void> {
    for await (const { family } of belongings.left(externalName)) await belongings.remove(family);
  }

  function ownedOf(ref: ExternalRef, task: Task): Owned {
    const current = statusOf(task);
    const identity = identityOf(task.group);
    return {
      ref,
      externalName: task.startedBy ?? "",
      jobId: tagged(task.tags, LABELS.job) ?? identity?.jobId ?? "",
      attempt: Number(tagged(task.tags, LABELS.attempt)),
      status: current,
      kept: isKept(tagged(task.tags, LABELS.cleanup), current),
    };
  }

  /** Tasks that are to run, and ended ones of which more than ECS's own record is left: those that have a log. */
  async function* ownTasks(): AsyncGenerator<[ExternalRef, Task]> {
    const seen = new Set<ExternalRef>();
    const arnOf = (id: string) => clusterArn.replace(":cluster/", ":task/").concat("/", id);
    // All of a kind before the first is given away: whoever reads it may remove what is given, and move the pages.
    const running = (await Array.fromAsync(tasks.list("RUNNING"))).flat();
    for (const ref of running) seen.add(ref);
    const group = { client: await services.logs(), logGroup };
    const logged = (await Array.fromAsync(tasksWithLog(group, homeId))).flat().map(arnOf);
    const refs = [...running, ...logged.filter((ref) => !seen.has(ref))];
    for (let at = 0; at < refs.length; at += MAX_DESCRIBED) yield* await lookAll(refs.slice(at, at + MAX_DESCRIBED));
  }

  return {
    ...about,
    submit: (launch, signal) => submitTask(starter, launch, signal),
    status,
    async statusMany(refs) {
      const found = await lookAll(refs);
      return new Map(refs.map((ref) => [ref, statusOf(found.get(ref))]));
    },

    async wait(ref, signal) {
      signal.throwIfAborted();
      if (!isTaskArn(ref, place)) return UNKNOWN_STATUS;
      const task = await look(ref);
      signal.throwIfAborted();
      return statusOf(hasEnded(task) ? task : await vigil.until(ref, hasEnded, signal));
    },

    async cancel(ref) {
      if (!isTaskArn(ref, place) || hasEnded(await look(ref))) return false;
      await (options.awaitsStops === false ? tasks.stop(ref) : stopped(ref));
      return true;
    },

    async *logs(ref, logOptions) {
      logOptions.signal?.throwIfAborted();
      if (!isTaskArn(ref, place) || memory.isCleaned(ref)) return;
      const signal = AbortSignal.any([closing.signal, ...(logOptions.signal ? [logOptions.signal] : [])]);
      const settled = async (): Promise<boolean> => {
        const leftMs = await untilLogged(ref);
        if (leftMs !== null && leftMs > 0)
          await delay(leftMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        return leftMs !== null;
      };
      if (logOptions.follow !== true) await settled();
      const client = await services.logs();
      const logStream = streamOf(homeId, ref);
      const stream = { client, logGroup, logStream, pollMs, isComplete: settled, closing: closing.signal };
      yield* readStream(stream, logOptions);
    },

    async cleanup(ref) {
      if (!isTaskArn(ref, place)) return isName(ref) ? await removeLeft(ref) : undefined;
      const task = (await tasks.describe([ref])).get(ref);
      if (task !== undefined && tagged(task.tags, LABELS.home) !== homeId) return;
      if (task === undefined ? memory.isFresh(ref) : !hasEnded(task)) await stopped(ref);
      // By the home's own prefix: the log of another home's task is never met, nor that of one which ECS has forgotten missed.
      await removeStream({ client: await services.logs(), logGroup }, streamOf(homeId, ref));
      const family = familyOf(task?.taskDefinitionArn);
      if (attemptOfFamily(family, homeId) !== null) await belongings.remove(family);
      memory.cleaned(ref);
    },

    async health() {
      try {
        const { clusters } = await services.ecs.send(new DescribeClustersCommand({ clusters: [clusterArn] }));
        const state = clusters?.[0]?.status ?? "MISSING";
        return { ok: state === "ACTIVE", message: `the ECS cluster ${place.cluster} is ${state}` };
      } catch (thrown) {
        return { ok: false, message: ecsFailure("showing the cluster", thrown).message };
      }
    },

    async find(externalName) {
      if (!isName(externalName)) return undefined;
      return (await findTask(externalName)) ?? ((await isLeft(externalName)) ? externalName : undefined);
    },

    async *list() {
      const names = new Set<string>();
      const left = await Array.fromAsync(belongings.left());
      for await (const [ref, task] of ownTasks()) {
        names.add(task.startedBy ?? "");
        yield ownedOf(ref, task);
      }
      // Made for a task that was never started, or that ECS has forgotten before they were removed.
      for (const { externalName, jobId, attempt } of left) {
        if (names.has(externalName)) continue;
        const created: RuntimeStatus = { ...UNKNOWN_STATUS, phase: "created" };
        yield { ref: externalName, externalName, jobId, attempt, status: created, kept: false };
      }
    },

    async dispose() {
      if (closing.signal.aborted) return;
      closing.abort(new LongshoreError("RUNTIME_UNAVAILABLE", "ecs: the adapter was disposed of"));
      vigil.close();
      services.close();
    },
  };
}

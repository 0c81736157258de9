import { setTimeout as delay } from "node:timers/promises";
import { type ECSClient, RunTaskCommand, type Task } from "@aws-sdk/client-ecs";
import { LongshoreError } from "../../../engine/errors.ts";
import { createMasker } from "../../../engine/masking.ts";
import { LABELS } from "../../../engine/naming.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef, Launch } from "../../../engine/ports/runtime.ts";
import { awsCode } from "../../aws/errors.ts";
import type { Belongings } from "./belongings.ts";
import { exposedPaths, violationsOf } from "./features.ts";
import type { Memory } from "./memory.ts";
import { groupOf, tagged } from "./names.ts";
import type { EcsRuntimeSettings } from "./options.ts";
import { ecsFailure, isThrottled, isUncertain, lacksDefinition, placementFailure, refusal } from "./refusals.ts";
import { type Plan, planOf } from "./spec.ts";
import { statusOf } from "./status.ts";
import type { Tasks } from "./tasks.ts";
import type { Vigil } from "./vigil.ts";

export interface Starter {
  ecs: ECSClient;
  settings: EcsRuntimeSettings;
  tasks: Tasks;
  belongings: Belongings;
  memory: Memory;
  vigil: Vigil;
  /** The task behind a name, ended or not. */
  findTask(externalName: string): Promise<ExternalRef | undefined>;
  pollMs: number;
  clock: Clock;
}

/**
 * ECS remembers a client token for the task's life and an hour more, and 24 hours at most. So long after the first call
 * it may start a second task for the same token; five minutes are for clocks that differ.
 */
const TOKEN_LIFE_MS = 55 * 60_000;
/** Tries of a RunTask whose outcome is unknown or that was one too many, beyond the client's own. */
const RUN_TRIES = 4;

/** `RuntimeAdapter.submit` for ECS. */
export async function submitTask(starter: Starter, launch: Launch, signal: AbortSignal): Promise<ExternalRef> {
  signal.throwIfAborted();
  const ref = (await running(starter, launch)) ?? (await begin(starter, launch, signal));
  starter.memory.named(launch.externalName, ref);
  return await untilStarted(starter, launch, { ref, signal });
}

/**
 * The task that was started for the attempt before and still runs. One that has ended is found by its token.
 * @throws LongshoreError UNKNOWN when the name is somebody else's.
 */
async function running({ tasks, settings }: Starter, launch: Launch): Promise<ExternalRef | undefined> {
  const refs = await tasks.startedBy(launch.externalName);
  if (refs.length === 0) return undefined;
  const found = [...(await tasks.describe(refs)).values()];
  const same = found.find((task) => isSameAttempt(task, launch, settings.homeId));
  if (same?.taskArn !== undefined) return same.taskArn;
  if (found.length === 0) return undefined;
  const message = `another task in this cluster has the name ${launch.externalName}`;
  throw new LongshoreError("UNKNOWN", message, { providerCode: "NAME_TAKEN" });
}

function isSameAttempt({ group, tags }: Task, { jobId, attempt }: Launch, homeId: string): boolean {
  return group === groupOf({ homeId, jobId, attempt }) && tagged(tags, LABELS.home) === homeId;
}

async function begin(starter: Starter, launch: Launch, signal: AbortSignal): Promise<ExternalRef> {
  const { settings, belongings } = starter;
  if (!isTokenAlive(starter, launch)) return await whatIsLeft(starter, launch);
  const violations = violationsOf(launch.spec, settings);
  for (const path of exposedPaths(launch.spec, launch.secretValues)) {
    if (violations.some((one) => one.path === path)) continue;
    violations.push({ path, code: "contains_secret", message: "ecs: a secret value can be handed over in env only" });
  }
  if (violations.length > 0) {
    const message = violations.map((one) => `${one.path}: ${one.message}`).join("; ");
    throw new LongshoreError("VALIDATION", message, { violations });
  }
  const plan = planOf(launch, settings);
  // ECS pulls for every task anew, and tells of it only afterwards.
  launch.report({ phase: "pulling", data: { image: launch.spec.image ?? "", present: false } });
  launch.report({ phase: "creating" });
  try {
    const taskDefinition = await belongings.prepare(plan, launch.secretValues);
    return await runTask(starter, launch, { plan, taskDefinition, signal });
  } catch (error) {
    // What may have been started needs them; it is found by its name, and they are with it.
    const isStarted = starter.memory.doubtfulUntil(launch.externalName) !== undefined;
    // Why the start failed tells more than why something could not be removed, which the sweep does again.
    if (plan.own && !isStarted) await belongings.remove(plan.definition.family).catch(() => undefined);
    throw error;
  }
}

function isTokenAlive({ clock }: Starter, { dispatchedAt }: Launch): boolean {
  return clock() - Date.parse(dispatchedAt) < TOKEN_LIFE_MS;
}

/** The commit of the intent is too long ago for another RunTask: what was started then is adopted, and nothing else. */
async function whatIsLeft({ findTask }: Starter, launch: Launch): Promise<ExternalRef> {
  const ref = await findTask(launch.externalName);
  if (ref !== undefined) return ref;
  const message = "ecs: whether the task was started cannot be told any more";
  // Not RUNTIME_UNAVAILABLE: the attempt would be deferred, and started by the next launch.
  throw new LongshoreError("UNKNOWN", message, { providerCode: "CLIENT_TOKEN_EXPIRED" });
}

interface Run {
  plan: Plan;
  taskDefinition: string;
  signal: AbortSignal;
}

/** Starts the task, or gets the one that was started with the same token before. */
async function runTask(starter: Starter, launch: Launch, run: Run): Promise<ExternalRef> {
  const { ecs, memory, belongings } = starter;
  const { plan, signal } = run;
  let { taskDefinition } = run;
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    if (!isTokenAlive(starter, launch)) return await whatIsLeft(starter, launch);
    await launch.confirm();
    try {
      const answer = await ecs.send(new RunTaskCommand({ ...plan.run, taskDefinition }));
      const ref = answer.tasks?.[0]?.taskArn;
      if (ref === undefined) throw placementFailure(answer.failures);
      memory.made(ref);
      memory.named(launch.externalName, ref);
      return ref;
    } catch (thrown) {
      if (awsCode(thrown) === "ConflictException") return await conflicting(starter, launch, thrown);
      if (lacksDefinition(thrown) && tries === 1) {
        belongings.forget(plan);
        taskDefinition = await belongings.prepare(plan, launch.secretValues);
        continue;
      }
      const uncertain = isUncertain(thrown);
      if (uncertain) memory.doubted(launch.externalName);
      if ((!uncertain && !isThrottled(thrown)) || tries === RUN_TRIES) {
        throw refusal("running the task", thrown, launch.secretValues);
      }
      await delay(starter.pollMs * tries, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** The token was used before with other parameters: a secret has another value since, or the operator changed something. */
async function conflicting(starter: Starter, launch: Launch, thrown: unknown): Promise<ExternalRef> {
  const refs = (thrown as { resourceIds?: string[] }).resourceIds ?? [];
  const found = await starter.tasks.describe(refs);
  for (const [ref, task] of found) if (isSameAttempt(task, launch, starter.settings.homeId)) return ref;
  throw ecsFailure("running the task", thrown);
}

/** Resolves when the command was started. @throws LongshoreError with the reason when it was not. */
async function untilStarted(
  { vigil, belongings, memory }: Starter,
  launch: Launch,
  { ref, signal }: { ref: ExternalRef; signal: AbortSignal },
): Promise<ExternalRef> {
  // No look of its own: a task takes its time to start, and an answer that fails now must not fail what was started.
  const task = await vigil.until(ref, isDecided, signal);
  if (task?.startedAt !== undefined) return ref;
  if (task === undefined) {
    const message = "ecs: the task was not to be found any more before it was started";
    throw new LongshoreError("RUNTIME_UNAVAILABLE", message, { providerCode: "LOST" });
  }
  for await (const { family } of belongings.left(launch.externalName)) await belongings.remove(family);
  memory.cleaned(ref);
  const { failure } = statusOf(task);
  const { category, message, providerCode } = failure ?? STOPPED;
  throw new LongshoreError(category, createMasker(launch.secretValues)(message), { providerCode });
}

const STOPPED = {
  category: "RUNTIME_UNAVAILABLE",
  message: "ecs: the task was stopped before it was started",
  providerCode: "UserInitiated",
} as const;

function isDecided(task: Task | undefined): boolean {
  return task === undefined || task.startedAt !== undefined || task.lastStatus === "STOPPED";
}

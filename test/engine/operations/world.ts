import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFilesystemObjects } from "../../../adapters/objects/filesystem.ts";
import { createStubRuntime } from "../../../adapters/runtime/stub/index.ts";
import { createKeyfileSealer } from "../../../adapters/sealer/keyfile.ts";
import type { EngineContext } from "../../../engine/context.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { JobId } from "../../../engine/ids.ts";
import { openHomeRecord } from "../../../engine/ledger/home.ts";
import type { LedgerLimits } from "../../../engine/ledger/ledger.ts";
import { readLife } from "../../../engine/ledger/read.ts";
import type { EventRecord, JobRecord, Life } from "../../../engine/ledger/records.ts";
import { admitWaiting, requeue } from "../../../engine/operations/admit.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { submitJob } from "../../../engine/operations/submit.ts";
import type { ExecutionInput } from "../../../engine/ports/orchestrator.ts";
import type { RuntimeAdapter } from "../../../engine/ports/runtime.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";
import { createInflight, type LocalInflight } from "../../../local/inflight.ts";
import { type Crash, createCrash } from "../../lab/crash.ts";
import { everyEvent, openLedger, type TestLedger } from "../ledger/fixtures.ts";

/** An execution that the engine asked for, as the test's orchestrator keeps it. */
export interface Execution {
  name: string;
  input: ExecutionInput;
  token: string;
  /** Set by `complete`: the run is over. */
  completed: boolean;
}

/** A home in miniature: real table, objects, sealer and stub runtime; the test plays orchestrator, watcher and clock. */
export interface World {
  ctx: EngineContext;
  ledger: TestLedger;
  /** The runtime that the engine works with; a test may replace its methods. */
  runtime: { -readonly [K in keyof RuntimeAdapter]: RuntimeAdapter[K] };
  inflight: LocalInflight;
  /** Strikes at any call to any port. */
  crash: Crash;
  executions: Map<string, Execution>;
  /** Every token whose completion was asked for. */
  completions: string[];
  watched: Parameters<EngineContext["watch"]>[0][];
  /** Resource names by how often the runtime truly started them. */
  starts: Map<string, number>;
  logged: unknown[];
  secrets: Map<string, string>;
  /** Resolves when all background work is done; throws what it threw. */
  settled(): Promise<void>;
  /** The process dies and another one takes over: what only lived in memory is gone. */
  restart(): void;
  dispose(): Promise<void>;
}

export async function openWorld(limits: Partial<LedgerLimits> = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-world-"));
  const crash = createCrash();
  const ledger = openLedger({ ...limits, wrap: (table) => crash.wrap(table) });
  const starts = new Map<string, number>();
  const stub = createStubRuntime({ homeId: "home", clock: () => ledger.nowMs });
  const runtime: World["runtime"] = {
    ...stub,
    async submit(launch, signal) {
      const known = await stub.find(launch.externalName);
      const ref = await stub.submit(launch, signal);
      if (known === undefined) starts.set(ref, (starts.get(ref) ?? 0) + 1);
      return ref;
    },
  };
  const background = new Set<Promise<void>>();
  const executions = new Map<string, Execution>();
  const secrets = new Map<string, string>();
  const world: World = {
    ledger,
    runtime,
    inflight: createInflight(),
    crash,
    executions,
    completions: [],
    watched: [],
    starts,
    logged: [],
    secrets,
    ctx: {
      home: await openHomeRecord(ledger),
      ledger,
      objects: crash.wrap(createFilesystemObjects({ directory: join(directory, "objects") })),
      sealer: crash.wrap(await createKeyfileSealer({ file: join(directory, "key") })),
      secrets: new Map([["vault", { scheme: "vault", resolve: async (name) => secretNamed(secrets, name) }]]),
      orchestrator: crash.wrap({
        async start(name: string, input: ExecutionInput) {
          if (executions.has(name)) return "exists" as const;
          executions.set(name, { name, input, token: `token-of-${name}`, completed: false });
          return "started" as const;
        },
        async complete(token: string) {
          world.completions.push(token);
          const found = [...executions.values()].find((one) => one.token === token && !one.completed);
          if (found !== undefined) found.completed = true;
          return found !== undefined;
        },
        isRunning: async (name: string) => executions.has(name),
      }),
      runtimes: { all: () => [wrapped], offered: () => [wrapped], get: () => wrapped },
      inflight: {
        begin: (jobId, attempt) => world.inflight.begin(jobId, attempt),
        abort: (jobId, reason) => world.inflight.abort(jobId, reason),
        isLaunching: (jobId) => world.inflight.isLaunching(jobId),
        progress: (jobId, report) => world.inflight.progress(jobId, report),
      },
      watch: (attempt) => void world.watched.push(attempt),
      background(_name, work) {
        const done = work().finally(() => background.delete(done));
        done.catch(() => undefined);
        background.add(done);
      },
      clock: () => ledger.nowMs,
      random: () => 0,
      logger: {
        debug: (...entry) => void world.logged.push(entry),
        info: (...entry) => void world.logged.push(entry),
        warn: (...entry) => void world.logged.push(entry),
        error: (...entry) => void world.logged.push(entry),
      },
    },
    async settled() {
      while (background.size > 0) await Promise.all(background);
    },
    restart() {
      executions.clear();
      background.clear();
      world.watched = [];
      world.inflight = createInflight();
      crash.revive();
    },
    async dispose() {
      await stub.dispose();
      await ledger.sqlite.close();
      await rm(directory, { recursive: true });
    },
  };
  // Methods are looked up at each call, so that a test can replace them.
  const wrapped = crash.wrap(runtime);
  return world;
}

function secretNamed(secrets: ReadonlyMap<string, string>, name: string): string {
  const value = secrets.get(name);
  if (value === undefined) throw new LongshoreError("NOT_FOUND", `vault: there is no ${name}`);
  return value;
}

/** Submits a job for the stub. */
export async function submitted(
  world: World,
  spec: JobSpecInput = {},
  script: Record<string, string> = {},
): Promise<JobId> {
  const input = { name: "nightly", runtime: "stub", ...spec, env: { ...spec.env, ...script } };
  return (await submitJob(world.ctx, input, { caller: "somebody" })).jobId;
}

/** Submits and admits a job; gives the task that its execution would run first. */
export async function admitted(world: World, spec: JobSpecInput = {}, script: Record<string, string> = {}) {
  const jobId = await submitted(world, spec, script);
  await admitWaiting(world.ctx, "stub");
  return { jobId, attempt: 1, token: executionOf(world, jobId).token };
}

/** Submits, admits and launches a job; by default it runs until it is stopped. */
export async function launched(
  world: World,
  spec: JobSpecInput = {},
  script: Record<string, string> = { STUB_DURATION_MS: "forever" },
) {
  const task = await admitted(world, spec, script);
  await launchAttempt(world.ctx, task);
  return task;
}

/** The latest execution of a job. */
export function executionOf(world: World, jobId: string): Execution {
  const found = [...world.executions.values()].findLast((one) => one.input.jobId === jobId);
  if (found === undefined) throw new Error(`no execution of ${jobId}`);
  return found;
}

export async function lifeOf(world: World, jobId: string): Promise<Life & { job: JobRecord }> {
  const life = await readLife({ ...world.ledger, table: world.ledger.sqlite }, jobId);
  if (life === undefined) throw new Error(`no job ${jobId}`);
  return life;
}

export const eventsOf = (world: World, jobId: string): Promise<EventRecord[]> => everyEvent(world.ledger.sqlite, jobId);
export const typesOf = async (world: World, jobId: string) => (await eventsOf(world, jobId)).map(({ type }) => type);

/** Names of what is left on the runtime. */
export const leftOn = async (world: World) =>
  (await Array.fromAsync(world.runtime.list())).map(({ externalName }) => externalName);

/** Lets every execution go on until nothing happens any more, as the lifecycle does; waits pass by the clock at once. */
export async function runExecutions(world: World): Promise<void> {
  const { ctx } = world;
  const begun = new Set<string>();
  for (;;) {
    const next = [...world.executions.values()].find(({ name }) => !begun.has(name));
    if (next === undefined) return;
    begun.add(next.name);
    const { jobId, attempt, generation } = next.input;
    await launchAttempt(ctx, { jobId, attempt, generation, token: next.token });
    await world.settled();
    for (const one of world.watched.splice(0)) await observeExit(ctx, one);
    if (!next.completed) continue;
    const verdict = await finalizeAttempt(ctx, { jobId, attempt, generation });
    if (!verdict.retry) continue;
    world.ledger.nowMs += verdict.delaySeconds * 1000;
    await requeue(ctx, jobId, attempt);
  }
}

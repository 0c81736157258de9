import { createStubRuntime } from "../../adapters/runtime/stub/index.ts";
import type { Launch, Owned, RuntimeAdapter, RuntimeStatus } from "../../engine/ports/runtime.ts";
import type { Ownership } from "./globals.ts";
import type { Sim } from "./sim.ts";

/** A real start of a command, as the place that runs it saw it. */
export interface Start {
  runtime: string;
  name: string;
  jobId: string;
  attempt: number;
}

/** What a resource says of itself. */
export interface Resource {
  externalName: string;
  jobId: string;
  attempt: number;
  /** Whether its label says that it stays on purpose. */
  kept: boolean;
}

/** What making a resource came to: somebody's is there already, or it is a new one. */
export interface Made {
  /** Of this very resource: one that is made later under the same name has another. */
  id: number;
  isOurs: boolean;
  isStarted: boolean;
}

/** The place that runs containers: it lives on while processes of Longshore die, and knows what truly happened. */
export interface Place {
  /** As an adapter without faults sees it. */
  adapter: RuntimeAdapter;
  /** Makes a resource under its name without starting it, or finds what has that name. */
  make(resource: Resource): Made;
  /** Starts what was made, and nothing else: false when it is gone, or has been started. */
  start(id: number, launch: Launch, signal: AbortSignal): Promise<boolean>;
  /** Removes what was made unless it has been started. */
  removeUnstarted(name: string, id: number): void;
  /** Somebody else removes the resource. */
  vanish(name: string): Promise<void>;
  /** Somebody else kills the command. */
  kill(name: string): Promise<void>;
  /** The names of what is there of a job, started or not. */
  namesOf(jobId: string): string[];
  /** Whether the command behind a name runs. */
  runs(name: string): Promise<boolean>;
  /** The names of all that is there. */
  names(): string[];
  /** How the command behind a name ended, as long as it is known; it stays known when the resource is removed. */
  truth(name: string): RuntimeStatus | undefined;
}

export interface PlaceOptions {
  name: string;
  sim: Sim;
  ownership: Ownership;
  maxConcurrent: number;
  onStart(start: Start): void;
}

const CREATED: RuntimeStatus = {
  phase: "created",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};
/** The place itself lets a command run as long as it likes: its timeout is Longshore's duty. */
const FOREVER_SECONDS = 10_000_000;
/** How many launches of an attempt are not answered whose plan says so. */
const UNANSWERED = 3;

export function createPlace({ name, sim, ownership, maxConcurrent, onStart }: PlaceOptions): Place {
  const stub = createStubRuntime({ homeId: "home", clock: sim.nowMs, maxConcurrent });
  const created = new Map<string, Resource & { id: number }>();
  let ids = 0;
  const tries = new Map<string, number>();
  const truths = new Map<string, RuntimeStatus>();
  const known = new Map<string, { jobId: string; attempt: number }>();

  /** What the place does on its own account it does whatever becomes of the process that asked. */
  function outside<T>(work: () => T): T {
    const before = ownership.current;
    ownership.current = sim.outside;
    try {
      return work();
    } finally {
      ownership.current = before;
    }
  }

  function make(resource: Resource): Made {
    const name = resource.externalName;
    const there = created.get(name);
    if (there !== undefined || known.has(name))
      return { id: there?.id ?? 0, isOurs: false, isStarted: known.has(name) };
    created.set(name, { ...resource, id: ++ids });
    return { id: ids, isOurs: true, isStarted: false };
  }

  async function start(id: number, launch: Launch, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { externalName, jobId, attempt } = launch;
    if (created.get(externalName)?.id !== id) return false;
    const tried = tries.get(externalName) ?? 0;
    tries.set(externalName, tried + 1);
    // A job waits for ever for a runtime that never answers: this one comes back.
    const isBack = launch.env.STUB_FAIL === "RUNTIME_UNAVAILABLE" && tried >= UNANSWERED;
    const env = isBack ? { ...launch.env, STUB_FAIL_ATTEMPTS: "0" } : launch.env;
    const spec = { ...launch.spec, timeoutSeconds: FOREVER_SECONDS };
    // Whoever asks has been asked for its consent; what comes in between is played by its calls.
    const confirm = async () => undefined;
    await outside(() => stub.submit({ ...launch, env, spec, confirm }, signal));
    created.delete(externalName);
    known.set(externalName, { jobId, attempt });
    onStart({ runtime: name, name: externalName, jobId, attempt });
    return true;
  }

  async function remove(ref: string): Promise<void> {
    const status = await stub.status(ref);
    if (status.phase === "exited") truths.set(ref, status);
    created.delete(ref);
    known.delete(ref);
    await outside(() => stub.cleanup(ref));
  }

  const adapter: RuntimeAdapter = {
    ...stub,
    name,
    status: async (ref) => (created.has(ref) ? CREATED : await stub.status(ref)),
    cancel: async (ref, graceSeconds) =>
      created.has(ref) ? false : await outside(() => stub.cancel(ref, graceSeconds)),
    wait: async (ref, signal) => (created.has(ref) ? CREATED : await stub.wait(ref, signal)),
    cleanup: remove,
    find: async (externalName) => (created.has(externalName) ? externalName : await stub.find(externalName)),
    async *list(): AsyncGenerator<Owned> {
      yield* stub.list();
      for (const [ref, resource] of created) yield { ref, ...resource, status: CREATED };
    },
  };

  return {
    adapter,
    make,
    start,
    removeUnstarted(ref, id) {
      if (created.get(ref)?.id === id) created.delete(ref);
    },
    vanish: remove,
    async kill(ref) {
      if (known.has(ref)) await outside(() => stub.cancel(ref, 0));
    },
    namesOf: (jobId) => [...known, ...created].filter(([, one]) => one.jobId === jobId).map(([ref]) => ref),
    runs: async (ref) => (await stub.status(ref)).phase === "running",
    names: () => [...known.keys(), ...created.keys()],
    truth: (ref) => truths.get(ref),
  };
}

import { goneFrom } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { Launch, Owned, RuntimeAdapter, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { scriptedFiles } from "./files.ts";
import { beginLife, type Life } from "./life.ts";
import { CAPABILITIES, failureOf, scriptOf, violationsOf } from "./spec.ts";

const DEFAULT_MAX_CONCURRENT = 256;
const UNKNOWN: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};

export interface StubRuntimeOptions {
  /** Taken for the sake of being made like the others: two stubs share nothing, whatever their homes. */
  homeId: string;
  /** Jobs at once; default 256. */
  maxConcurrent?: number;
  /** Where its times come from; default the machine's clock. */
  clock?: Clock;
}

/**
 * Runs nothing: a job's life is what its environment says (see `Script`), by default an end at once with exit code 0.
 * For tests, measurements and dry practice. Everything is in memory: a successor of the same home knows nothing of
 * what was started before it, and answers `unknown`. After `dispose` what waits is refused with RUNTIME_UNAVAILABLE;
 * what only looks still answers.
 */
export function createStubRuntime(options: StubRuntimeOptions): RuntimeAdapter {
  const clock = options.clock ?? Date.now;
  const lives = new Map<string, Life>();
  /** What was made by a launch that is not confirmed yet: of several the last one's counts. */
  const made = new Map<string, symbol>();
  const closing = new AbortController();

  /** Resolves when the life has changed; throws the reason why waiting has no more point. */
  async function changeOf(life: Life, signal: AbortSignal | undefined): Promise<void> {
    const signals = signal === undefined ? [closing.signal] : [signal, closing.signal];
    for (const one of signals) one.throwIfAborted();
    const aborted = Promise.withResolvers<void>();
    const onAbort = (): void => aborted.resolve();
    for (const one of signals) one.addEventListener("abort", onAbort);
    try {
      await Promise.race([life.changed(), aborted.promise]);
    } finally {
      for (const one of signals) one.removeEventListener("abort", onAbort);
    }
    for (const one of signals) one.throwIfAborted();
  }

  async function wait(ref: string, signal: AbortSignal | undefined): Promise<RuntimeStatus> {
    signal?.throwIfAborted();
    const life = lives.get(ref);
    if (life === undefined) return UNKNOWN;
    while (life.status().phase !== "exited") await changeOf(life, signal);
    return life.status();
  }

  function isStarted(launch: Launch): boolean {
    const known = lives.get(launch.externalName);
    if (known === undefined) return false;
    if (known.jobId === launch.jobId && known.attempt === launch.attempt) return true;
    const message = `stub: the name ${launch.externalName} is taken by another job`;
    throw new LongshoreError("UNKNOWN", message, { providerCode: "NAME_TAKEN" });
  }

  async function submit(launch: Launch, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    closing.signal.throwIfAborted();
    const name = launch.externalName;
    if (isStarted(launch)) return name;
    launch.report({ phase: "creating" });
    const ours = Symbol(name);
    made.set(name, ours);
    try {
      await launch.confirm();
      signal.throwIfAborted();
      if (isStarted(launch)) return name;
      if (made.get(name) !== ours)
        throw new LongshoreError("RUNTIME_UNAVAILABLE", "stub: what was made was removed before it was started");
    } finally {
      if (made.get(name) === ours) made.delete(name);
    }
    const script = scriptOf(launch);
    if (script.fail !== null) {
      throw new LongshoreError(script.fail, failureOf(script.fail).message, { providerCode: "STUB" });
    }
    lives.set(name, beginLife(launch, script, clock));
    return name;
  }

  return {
    name: "stub",
    kind: "stub",
    explicitOnly: true,
    capabilities: CAPABILITIES,
    constraints: {
      maxTimeoutSeconds: null,
      maxMemoryMiB: null,
      maxCpu: null,
      maxEnvBytes: null,
      maxArtifactBytes: null,
      maxConcurrent: options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT,
    },
    check: violationsOf,
    submit,
    wait,
    status: async (ref) => lives.get(ref)?.status() ?? UNKNOWN,
    async cancel(ref, graceSeconds) {
      const life = lives.get(ref);
      if (life === undefined || life.status().phase === "exited") return false;
      life.stop(graceSeconds);
      await wait(ref, undefined);
      return true;
    },
    async *logs(ref, { follow = false, after = 0, signal }) {
      signal?.throwIfAborted();
      const life = lives.get(ref);
      if (life === undefined) return;
      for (let next = after; ; ) {
        const ended = life.status().phase === "exited";
        signal?.throwIfAborted();
        const lines = life.lines.slice(next);
        next += lines.length;
        if (lines.length > 0) yield lines;
        if (ended || !follow) return;
        // A line that came while the consumer had the one before is there already, and nobody will tell of it again.
        if (life.status().phase !== "exited" && next >= life.lines.length) await changeOf(life, signal);
      }
    },
    async *artifacts(ref, request) {
      const life = lives.get(ref);
      if (life === undefined) yield { kind: "refused", ...goneFrom(request) };
      else yield* scriptedFiles(life.files, request);
    },
    async cleanup(ref) {
      made.delete(ref);
      lives.get(ref)?.kill();
      lives.delete(ref);
    },
    health: async () => ({ ok: true, message: "nothing is run here" }),
    async usage(refs) {
      const told = refs.map((ref) => [ref, lives.get(ref)?.usage()] as const);
      return new Map(told.flatMap(([ref, usage]) => (usage === undefined ? [] : [[ref, usage] as const])));
    },
    find: async (name) => (lives.has(name) ? name : undefined),
    async *list(): AsyncGenerator<Owned> {
      for (const [ref, { jobId, attempt, cleanup, status }] of lives) {
        const now = status();
        const failed = now.phase === "exited" && (now.exitCode !== 0 || now.failure !== null);
        const kept = cleanup === "never" || (cleanup === "onSuccess" && failed);
        yield { ref, externalName: ref, jobId, attempt, status: now, kept };
      }
    },
    async dispose() {
      if (closing.signal.aborted) return;
      closing.abort(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: the adapter has been disposed of"));
      for (const life of lives.values()) life.unref();
    },
  };
}

import { mkdirSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { isAbsolute } from "node:path";
import { SHUTDOWN } from "../../../engine/abort.ts";
import { goneFrom } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Launch, Owned, RuntimeAdapter, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { readArtifacts } from "./artifacts.ts";
import { createAttempts } from "./attempts.ts";
import { createChanges } from "./changes.ts";
import { claim } from "./claim.ts";
import { openLogReader } from "./log-reader.ts";
import { createNews } from "./news.ts";
import { type ExitRecord, errorCode, FILES } from "./records.ts";
import { CAPABILITIES, claimOf, constraintsOf, isKept, neverStarted, orderOf, UNKNOWN, violationsOf } from "./spec.ts";
import { startSupervisor } from "./start.ts";
import { readUsage } from "./usage.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ProcessRuntimeOptions {
  /** Attempts of other homes under the same directory are not seen. */
  homeId: string;
  /** Absolute; made when it is first needed, mode 0700. Each attempt lives in `directory/<externalName>`. */
  directory: string;
  /** Jobs at once; default four per core. */
  maxConcurrent?: number;
  /** The PATH of the jobs that bring none; default the system's usual directories. */
  path?: string;
}

/**
 * Runs jobs as plain processes of this machine, for specs that ask for it. A small detached supervisor per attempt
 * starts the command, keeps its log and records its end, so that a job survives any death of Longshore; an adapter
 * made later on the same directory finds everything again. A supervisor that was killed itself ends its attempt with
 * RUNTIME_UNAVAILABLE (SUPERVISOR_LOST), never with a second start; an attempt that was claimed and that no supervisor
 * has taken was not started, and the next submit starts it. After `dispose` what waits is refused with
 * RUNTIME_UNAVAILABLE; what only looks still answers.
 * @throws LongshoreError VALIDATION when the directory is not absolute.
 */
export function createProcessRuntime(options: ProcessRuntimeOptions): RuntimeAdapter {
  const { homeId, directory, path = DEFAULT_PATH } = options;
  const maxConcurrent = options.maxConcurrent ?? availableParallelism() * 4;
  if (!isAbsolute(directory)) throw new LongshoreError("VALIDATION", "process: directory must be an absolute path");
  const attempts = createAttempts(homeId, directory);
  const changes = createChanges();
  const news = createNews(changes);
  const recordsOf = (name: string): string => attempts.path(name, "record");

  /** The status, for who is going to wait: nobody would tell him of the end of an attempt that is abandoned. */
  const look = async (name: string): Promise<RuntimeStatus> => {
    // A submit takes such an attempt up, as long as nobody waits for it.
    if (attempts.isAbandoned(name)) attempts.forsake(name);
    return await attempts.status(name);
  };

  const untilEnded = async (name: string, signal?: AbortSignal): Promise<RuntimeStatus> =>
    await news.until({ name, path: recordsOf(name), signal }, async () => {
      const status = await look(name);
      return status.phase === "exited" || status.phase === "unknown" ? status : undefined;
    });

  /** The attempt behind a launch's name: it must be this launch's, whoever started it. */
  function checkOwner(launch: Launch): boolean {
    const claim = attempts.claimOf(launch.externalName);
    if (claim === undefined) return false;
    if (claim.homeId !== homeId || claim.jobId !== launch.jobId || claim.attempt !== launch.attempt) {
      const message = `process: the name ${launch.externalName} is taken by another job`;
      throw new LongshoreError("UNKNOWN", message, { providerCode: "NAME_TAKEN" });
    }
    return true;
  }

  /** Starts a supervisor for the claim that is there, and for no later one; true when it is the one that took the attempt. */
  async function begin(launch: Launch): Promise<boolean> {
    const name = launch.externalName;
    const claimed = attempts.own(name);
    if (claimed === undefined) return false;
    try {
      await launch.confirm();
      const child = await startSupervisor(orderOf(launch, claimed, { directory, path }));
      if (attempts.supervisorOf(name)?.pid !== child.pid) return false;
      if (child.exitCode === null && child.signalCode === null) {
        changes.adoptChild(name);
        child.once("exit", () => changes.tell(name));
      }
      return true;
    } catch (error) {
      // Nothing was started, and now nothing can be: unless another's supervisor was first, nothing is to be kept.
      if (attempts.forsake(name)) await attempts.remove(name);
      throw error;
    }
  }

  async function claimFor(launch: Launch): Promise<void> {
    try {
      await claim(directory, claimOf(launch, homeId));
    } catch (cause) {
      // The code only: a message would tell a submitter where Longshore keeps its data.
      const providerCode = errorCode(cause) ?? null;
      const message = `process: the attempt's directory cannot be made (${providerCode})`;
      throw new LongshoreError("RUNTIME_UNAVAILABLE", message, { cause, providerCode });
    }
    checkOwner(launch);
  }

  async function submit(launch: Launch, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    news.checkOpen();
    const name = launch.externalName;
    launch.report({ phase: "creating" });
    if (!checkOwner(launch)) await claimFor(launch);
    // The supervisor has its order at once and answers within moments: an abort is heeded when it is known what to undo.
    const isOurs = attempts.supervisorOf(name) === undefined && (await begin(launch));
    try {
      await news.until({ name, path: recordsOf(name), signal }, async () => {
        const { phase } = await attempts.status(name);
        return phase === "created" ? undefined : phase;
      });
    } catch (error) {
      // At the end of this process nothing is undone: its next start adopts the attempt.
      if (isOurs && signal.aborted && signal.reason !== SHUTDOWN) await cleanup(name);
      throw error;
    }
    if (!checkOwner(launch)) throw new LongshoreError("RUNTIME_UNAVAILABLE", "process: the attempt was removed");
    refuseUnstarted(await attempts.exitOf(name));
    return name;
  }

  async function cancel(name: string, graceSeconds: number): Promise<boolean> {
    if (attempts.own(name) === undefined || (await attempts.exitOf(name)) !== undefined) return false;
    if (attempts.forsake(name)) {
      attempts.end(name, neverStarted(new Date()));
      changes.tell(name);
      return true;
    }
    attempts.requestCancel(name, { graceSeconds });
    await untilEnded(name);
    const exit = await attempts.exitOf(name);
    return exit === undefined || exit.cancelled || exit.failure?.providerCode === "SUPERVISOR_LOST";
  }

  async function cleanup(name: string): Promise<void> {
    if (attempts.own(name) === undefined) return;
    await cancel(name, 0);
    if (attempts.own(name) !== undefined) await attempts.remove(name);
    changes.tell(name);
  }

  return {
    name: "process",
    kind: "process",
    explicitOnly: true,
    capabilities: CAPABILITIES,
    constraints: constraintsOf(maxConcurrent),
    check: violationsOf,
    submit,
    status: attempts.status,
    cancel,
    cleanup,
    wait: untilEnded,
    async *logs(name, { follow = false, after = 0, signal }) {
      signal?.throwIfAborted();
      if (attempts.own(name) === undefined) return;
      if (follow) news.checkOpen();
      const log = attempts.path(name, FILES.log);
      if (follow) {
        await news.until({ name, path: recordsOf(name), signal }, async () =>
          (await look(name)).phase === "created" ? undefined : true,
        );
      }
      const reader = await openLogReader(log, after);
      if (reader === undefined) return;
      try {
        if (!follow) yield* reader.more();
        else
          yield* news.follow(reader, { name, log, records: recordsOf(name), signal }, async () => {
            const { phase } = await attempts.status(name);
            return phase === "exited" || phase === "unknown";
          });
      } finally {
        await reader.close();
      }
    },
    async *artifacts(name, request) {
      if (attempts.own(name) === undefined) yield { kind: "refused", ...goneFrom(request) };
      else yield* readArtifacts(request.workdir ?? attempts.path(name, FILES.work), request);
    },
    async health() {
      try {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        await access(directory, constants.W_OK | constants.X_OK);
        // It may have been removed or replaced under the running process.
        await access(process.execPath, constants.X_OK);
        return { ok: true, message: "processes can be started" };
      } catch (error) {
        return { ok: false, message: `processes cannot be started (${errorCode(error) ?? "UNKNOWN"})` };
      }
    },
    usage: async (names) => readUsage(attempts, names),
    find: async (name) => (attempts.own(name) === undefined ? undefined : name),
    async *list(): AsyncGenerator<Owned> {
      await attempts.sweep();
      for (const name of await attempts.names()) {
        const claim = attempts.own(name);
        if (claim === undefined) continue;
        const status = await attempts.status(name);
        if (status.phase === UNKNOWN.phase) continue;
        const { externalName, jobId, attempt } = claim;
        yield { ref: name, externalName, jobId, attempt, status, kept: isKept(claim, status) };
      }
    },
    async dispose() {
      news.close();
      changes.dispose();
    },
  };
}

/** @throws LongshoreError of the failure's category, when the command could not be started. */
function refuseUnstarted(exit: ExitRecord | undefined): void {
  if (exit === undefined || exit.startedAt !== null || exit.failure === null) return;
  // What was lost before its start is an attempt that has ended: the one that is adopted tells so by its status.
  if (exit.failure.providerCode === "SUPERVISOR_LOST") return;
  const { category, message, providerCode } = exit.failure;
  throw new LongshoreError(category, `process: ${message}`, { providerCode });
}

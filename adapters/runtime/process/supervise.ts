import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { createLineMasker } from "../../../engine/masking.ts";
import { type Leader, startLeader } from "./leader.ts";
import { type LogFile, openLogFile } from "./log-file.ts";
import { createLineSplitter } from "./log-lines.ts";
import { identify, killAll, markers } from "./processes.ts";
import {
  type CancelRequest,
  type ExitRecord,
  FILES,
  type Order,
  persistently,
  readRecord,
  replace,
  type StartedRecord,
  writeOnce,
} from "./records.ts";
import { exitCodeOf, outcomeOf, refusalOf } from "./spec.ts";

/** How long a pipe may stay open when everyone who is known to hold it is dead. */
const PIPE_PATIENCE_MS = 2_000;

/** One attempt under supervision. */
export interface Life {
  /** The command runs, or never will: the disk tells which. */
  decided: Promise<void>;
  /** The exit record is written. */
  ended: Promise<void>;
  /** Looks for a cancel request; to be called after one was written, as often as one likes. */
  wake(): void;
  /** Ends the command as the machine's shutdown asks for it. */
  stop(): void;
}

/** Runs the command of a claimed attempt to its end, whatever happens to Longshore. */
export function supervise(directory: string, order: Order, jobUmask: number): Life {
  const started = Promise.withResolvers<void>();
  const masker = createLineMasker(order.maskValues);
  let leader: Leader | undefined;

  const request = (): CancelRequest | undefined => readRecord<CancelRequest>(join(directory, FILES.cancel));
  const wake = (): void => {
    const cancel = request();
    if (cancel !== undefined) leader?.bringDown("cancelled", cancel.graceSeconds);
  };

  async function live(): Promise<void> {
    const log = openLogFile(join(directory, FILES.log), order.maxLogBytes);
    try {
      // One that came between the claim and now: the command is never started.
      if (request() !== undefined)
        return await end(log, { exitCode: null, cancelled: true, failure: null, startedAt: null });
      let child: Leader;
      try {
        child = await startLeader(order, startDirectory(directory, order), jobUmask);
      } catch (error) {
        return await end(log, { cancelled: false, startedAt: null, ...refusalOf(error, order, masker.text) });
      }
      leader = child;
      await follow(child, log);
    } finally {
      log.close();
    }
  }

  async function follow(child: Leader, log: LogFile): Promise<void> {
    const startedAt = new Date().toISOString();
    const { pid } = child.process;
    const record: StartedRecord = { leader: identify(pid) ?? { pid, born: "ended" }, startedAt };
    const noted = persistently(() => replace(join(directory, FILES.started), record)).then(() => {
      started.resolve();
      wake();
    });
    const flush = drain(child, log);
    const timer = setTimeout(() => child.bringDown("timedOut", order.graceSeconds), order.timeoutSeconds * 1_000);
    const exit = await child.exited;
    clearTimeout(timer);
    const finishedAt = new Date().toISOString();
    // The command is the job: what it left behind ends with it, also what left its process group.
    const left = await killAll(markers(order.claim.jobId, order.claim.attempt), pid);
    await flush();
    await noted;
    if (left.length > 0) log.append("system", [`${left.length} processes of the job could not be ended`]);
    const why = child.broughtDownBy();
    const facts = { cancelled: why === "cancelled", failure: outcomeOf(why, order), startedAt, finishedAt };
    await end(log, { exitCode: exitCodeOf(exit), ...facts });
  }

  /** Writes the streams' lines; the function that it gives resolves when both have given everything. */
  function drain(child: Leader, log: LogFile): () => Promise<void> {
    const closed = once(child.process, "close");
    const ends = (["stdout", "stderr"] as const).map((name) => {
      const splitter = createLineSplitter(masker);
      child.process[name].on("data", (chunk: Buffer) => log.append(name, splitter.push(chunk)));
      return () => log.append(name, splitter.end());
    });
    return async () => {
      const patience = setTimeout(() => {
        child.process.stdout.destroy();
        child.process.stderr.destroy();
      }, PIPE_PATIENCE_MS);
      await closed;
      clearTimeout(patience);
      for (const one of ends) one();
    };
  }

  /** Only this process knows how the command ended: while the disk is full it waits for room. */
  async function end(log: LogFile, facts: Omit<ExitRecord, "finishedAt"> & { finishedAt?: string }): Promise<void> {
    const record = { finishedAt: new Date().toISOString(), ...facts };
    // The log first: whoever sees the record finds every line.
    await persistently(() => log.close());
    await persistently(() => writeOnce(join(directory, FILES.exit), record));
  }

  const ended = live();
  return {
    decided: Promise.race([started.promise, ended]),
    ended,
    wake,
    stop: () => leader?.bringDown("stopped", order.graceSeconds),
  };
}

function startDirectory(directory: string, order: Order): { work: string; home: string; temporary: string } {
  const home = join(directory, FILES.work);
  const work = order.workdir ?? home;
  // Without this a missing directory would look like a missing command.
  if (!statSync(work, { throwIfNoEntry: false })?.isDirectory()) {
    throw Object.assign(new Error("no such work directory"), { code: "NO_WORKDIR" });
  }
  return { work, home, temporary: join(directory, FILES.temporary) };
}

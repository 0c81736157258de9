import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { markers, signalGroup } from "./processes.ts";
import type { Order } from "./records.ts";

export type Cause = "cancelled" | "timedOut" | "stopped";
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The command's own process, which leads a session and a process group of its own. */
export interface Leader {
  process: ChildProcessByStdio<null, Readable, Readable> & { readonly pid: number };
  /** Resolves when the leader has ended; others of its group may go on. */
  exited: Promise<Exit>;
  /**
   * Asks the group to end and kills it after the grace (seconds; 0 kills at once). The first cause counts; a later
   * call can only shorten the grace. Does nothing once the leader has ended.
   */
  bringDown(cause: Cause, graceSeconds: number): void;
  /** What brought it down before it ended by itself; null when nothing did. */
  broughtDownBy(): Cause | null;
}

/**
 * Starts the command with nothing but its own environment and what every job gets: PATH, HOME, TMPDIR (the job's own
 * values win) and the attempt's markers (which it cannot change).
 * @throws Error of the system when the command cannot be started, such as ENOENT or E2BIG.
 */
export async function startLeader(
  order: Order,
  at: { work: string; home: string; temporary: string },
  jobUmask: number,
): Promise<Leader> {
  const [file = "", ...args] = order.argv;
  const env = {
    PATH: order.path,
    HOME: at.home,
    TMPDIR: at.temporary,
    ...order.env,
    ...markers(order.claim.jobId, order.claim.attempt),
  };
  const own = process.umask(jobUmask);
  const child = (() => {
    try {
      return spawn(file, args, { cwd: at.work, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    } finally {
      process.umask(own);
    }
  })();
  const { pid } = child;
  // The start has succeeded or failed by now; some failures are told by an event only.
  const failed = new Promise<Error>((resolve) => child.once("error", resolve));
  if (pid === undefined) throw await failed;

  let cause: Cause | null = null;
  let ended = false;
  let killAtMs = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const kill = (): boolean => signalGroup(pid, "SIGKILL");
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      ended = true;
      clearTimeout(timer);
      resolve({ code, signal });
    });
  });

  return {
    process: Object.assign(child, { pid }),
    exited,
    broughtDownBy: () => cause,
    bringDown(why, graceSeconds) {
      if (ended) return;
      const atMs = Date.now() + graceSeconds * 1_000;
      const first = cause === null;
      cause ??= why;
      if (graceSeconds <= 0) {
        kill();
        return;
      }
      if (first) signalGroup(pid, "SIGTERM");
      if (atMs >= killAtMs) return;
      killAtMs = atMs;
      clearTimeout(timer);
      timer = setTimeout(kill, graceSeconds * 1_000);
    },
  };
}

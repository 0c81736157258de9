import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PRELOAD = pathToFileURL(join(import.meta.dirname, "loop-delay.ts")).href;
const KIB_PER_MIB = 1024;
/** Where /proc/PID/stat has the time in user mode; that in the kernel follows. */
const USER_FIELD = 14;
/** What Linux shows times in, whatever its own clock: USER_HZ. */
const TICKS_PER_SECOND = 100;

/** How late an event loop was, in milliseconds, of `count` samples; one that is never late has the sampling interval. */
export interface LoopDelay {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** The environment of a process that leaves its loop's delay in the file when it ends by itself. */
export function loopDelayInto(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${PRELOAD}`, LOOP_DELAY_FILE: file };
}

/** What a process left. @throws Error when it was killed before it could. */
export async function loopDelayFrom(file: string): Promise<LoopDelay> {
  return JSON.parse(await readFile(file, "utf8")) as LoopDelay;
}

/** A process with nothing to do. */
export interface IdleLoop extends AsyncDisposable {
  /** Ends it and tells how late its loop was. */
  end(): Promise<LoopDelay>;
}

/** Starts a process with nothing to do: how late its loop is, the machine is at that time. */
export function startIdleLoop(file: string): IdleLoop {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], {
    env: loopDelayInto(file),
    stdio: ["pipe", "ignore", "inherit"],
  });
  const exited = once(child, "exit");
  const end = async () => {
    child.stdin.end();
    await exited;
  };
  return {
    async end() {
      await end();
      return await loopDelayFrom(file);
    },
    [Symbol.asyncDispose]: end,
  };
}

/** What a process takes of the machine. */
export interface Usage {
  /** Memory in MiB: what it has, and the most that it ever had. */
  nowMiB: number;
  mostMiB: number;
  /** Processor time that it has used: unlike a rate it hardly depends on who else is at work. */
  cpuSeconds: number;
}

/** What a running process takes of the machine, as Linux tells. */
export async function usageOf(pid: number): Promise<Usage> {
  const [status, stat] = await Promise.all(["status", "stat"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8")));
  const mib = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status ?? "")?.[1]) / KIB_PER_MIB;
  // The name of the program, in brackets, may hold anything; the fields behind it count from the third.
  const fields = (stat ?? "").slice((stat ?? "").lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[USER_FIELD - 3]) + Number(fields[USER_FIELD - 2]);
  return { nowMiB: mib("VmRSS"), mostMiB: mib("VmHWM"), cpuSeconds: ticks / TICKS_PER_SECOND };
}

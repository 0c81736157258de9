import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PRELOAD = pathToFileURL(join(import.meta.dirname, "loop-delay.ts")).href;
const KIB_PER_MIB = 1024;

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

/** The memory of a process in MiB: what it has, and the most that it ever had. */
export async function memoryOf(pid: number): Promise<{ nowMiB: number; mostMiB: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / KIB_PER_MIB;
  return { nowMiB: mib("VmRSS"), mostMiB: mib("VmHWM") };
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect } from "vitest";
import { claim } from "../../../../adapters/runtime/process/claim.ts";
import { createProcessRuntime } from "../../../../adapters/runtime/process/index.ts";
import type { ProcessId } from "../../../../adapters/runtime/process/processes.ts";
import type { Claim, Order, StartedRecord } from "../../../../adapters/runtime/process/records.ts";
import { claimOf, orderOf } from "../../../../adapters/runtime/process/spec.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import type { Launch, RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import {
  type Act,
  type LaunchOverrides,
  launchOf,
  type RuntimeHarness,
  untilLine,
} from "../../../contracts/runtime-harness.ts";
import { PROCESS_FACTS, processesUnder, processHarness } from "./harness.ts";

export const never = (): AbortSignal => new AbortController().signal;
export const shell = (script: string): Act => ({ act: "shell", script });
export const sleeper: Act = { act: "sleep", onTerm: "end" };
export const stubborn: Act = { act: "sleep", onTerm: "ignore" };
export const launch = (act: Act, overrides: LaunchOverrides = {}): Launch => launchOf(PROCESS_FACTS, act, overrides);

/** One test's own directory, home and adapter, and a look at what lies there. */
export interface ProcessLab {
  readonly harness: RuntimeHarness & { directory: string };
  readonly adapter: RuntimeAdapter;
  readonly homeId: string;
  file(ref: string, name: string): string;
  supervisorOf(ref: string): number;
  leaderOf(ref: string): StartedRecord["leader"];
  /** Submits, and resolves when the job has written `ready`. */
  start(act: Act, overrides?: LaunchOverrides): Promise<string>;
  /** Another Longshore, in a process of its own. */
  client(one: Launch, submits?: number): Promise<{ process: ChildProcess; lines: AsyncIterator<string> }>;
  /** Claims an attempt as a submit does, and gives the order that the supervisor would get; nothing is started. */
  claimed(one: Launch, claimant?: ProcessId): Promise<Order>;
  /** Has the process killed at the end of the test, if it is still there. */
  own(child: ChildProcess): void;
}

/** Kills a process and resolves when it has ended. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Registers the hooks of a lab; afterwards no process of a job may be left. */
export function useProcessLab(): ProcessLab {
  let harness: ProcessLab["harness"];
  let adapter: RuntimeAdapter;
  let homeId = "";
  let children: ChildProcess[] = [];

  beforeEach(async () => {
    homeId = mintHomeId(Date.now());
    harness = await processHarness();
    adapter = createProcessRuntime({ homeId, directory: harness.directory });
  });
  afterEach(async () => {
    for (const child of children) await kill(child);
    children = [];
    for await (const { ref } of adapter.list()) await adapter.cleanup(ref);
    const left = processesUnder(harness.directory);
    await adapter.dispose();
    await harness.dispose();
    expect(left).toEqual([]);
  });

  const file = (ref: string, name: string): string => join(harness.directory, ref, name);
  const read = <T>(ref: string, name: string): T => JSON.parse(readFileSync(file(ref, name), "utf8")) as T;
  return {
    get harness() {
      return harness;
    },
    get adapter() {
      return adapter;
    },
    get homeId() {
      return homeId;
    },
    file,
    supervisorOf: (ref) => read<ProcessId>(ref, "supervisor.json").pid,
    leaderOf: (ref) => read<StartedRecord>(ref, "record/started.json").leader,
    async start(act, overrides) {
      const ref = await adapter.submit(launch(act, overrides), never());
      await untilLine(adapter, ref, "ready");
      return ref;
    },
    async client({ report: _report, confirm: _confirm, ...one }, submits = 1) {
      const told = JSON.stringify({ homeId, directory: harness.directory, launch: one, submits });
      const path = fileURLToPath(new URL("./client.ts", import.meta.url));
      const child = spawn(process.execPath, [path, told], { stdio: ["pipe", "pipe", "inherit"] });
      children.push(child);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("ready");
      return { process: child, lines };
    },
    async claimed(one, claimant) {
      await claim(harness.directory, claimOf(one, homeId));
      const record = read<Claim>(one.externalName, "claim.json");
      if (claimant !== undefined) {
        writeFileSync(file(one.externalName, "claim.json"), JSON.stringify({ ...record, claimant }));
      }
      return orderOf(one, record, { directory: harness.directory, path: "/usr/bin:/bin" });
    },
    own: (child) => void children.push(child),
  };
}

import { createMasker } from "../../../engine/masking.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { Launch, RuntimeLine, RuntimeStatus, RuntimeUsage } from "../../../engine/ports/runtime.ts";
import { failureOf, type Script } from "./spec.ts";

/** One attempt's life in memory. */
export interface Life {
  readonly jobId: string;
  readonly attempt: number;
  readonly cleanup: "always" | "onSuccess" | "never";
  readonly lines: readonly RuntimeLine[];
  readonly files: Script["files"];
  status(): RuntimeStatus;
  /** What its script says that it uses; undefined once it has ended. */
  usage(): RuntimeUsage | undefined;
  /** Resolves when a line was written or the life has ended since the call. */
  changed(): Promise<void>;
  /** SIGTERM, then SIGKILL after the grace (seconds; 0 kills at once). */
  stop(graceSeconds: number): void;
  /** Ends it as if it had been killed. */
  kill(): void;
  /** Lets the process end although this life goes on. */
  unref(): void;
}

/** Begins a life; without a duration it has ended when this returns. */
export function beginLife(launch: Launch, script: Script, clock: Clock): Life {
  const { spec } = launch;
  const mask = launch.secretValues.length === 0 ? (text: string) => text : createMasker(launch.secretValues);
  const startedAt = new Date(clock()).toISOString();
  const lines: RuntimeLine[] = [];
  const timers: NodeJS.Timeout[] = [];
  let status: RuntimeStatus = {
    phase: "running",
    exitCode: null,
    oom: false,
    failure: null,
    startedAt,
    finishedAt: null,
  };
  // Made only when someone waits: most lives are over before anyone does.
  let change: PromiseWithResolvers<void> | undefined;

  function tell(): void {
    change?.resolve();
    change = undefined;
  }

  function write(stream: "stdout" | "stderr", text: string): void {
    lines.push({ n: lines.length + 1, time: new Date(clock()).toISOString(), stream, text: mask(text) });
  }

  function end(exitCode: number, failure: RuntimeStatus["failure"] = null): void {
    if (status.phase === "exited") return;
    for (const timer of timers) clearTimeout(timer);
    const oom = failure?.category === "OOM";
    status = { ...status, phase: "exited", exitCode, oom, failure, finishedAt: new Date(clock()).toISOString() };
    tell();
  }

  function endByScript(): void {
    if (script.endWith === null) end(script.exitCode);
    else end(script.exitCode === 0 ? 137 : script.exitCode, failureOf(script.endWith));
  }

  const timeoutMs = spec.timeoutSeconds * 1_000;
  const timeout = {
    category: "TIMEOUT",
    message: `the job ran longer than ${spec.timeoutSeconds} s`,
    providerCode: null,
  } as const;
  for (const line of script.lines) write(line.stream, line.text);
  if (script.durationMs === 0) endByScript();
  else if (script.durationMs <= timeoutMs) timers.push(setTimeout(endByScript, script.durationMs));
  else timers.push(setTimeout(() => end(137, timeout), timeoutMs));

  return {
    jobId: launch.jobId,
    attempt: launch.attempt,
    cleanup: spec.cleanup,
    lines,
    files: script.files,
    status: () => status,
    usage() {
      if (status.phase === "exited") return undefined;
      const ranSeconds = Math.max(0, clock() - Date.parse(startedAt)) / 1_000;
      return {
        cpuSeconds: script.cpu * ranSeconds,
        memoryBytes: script.memoryBytes,
        memoryPeakBytes: script.memoryBytes,
        networkReceivedBytes: null,
        networkSentBytes: null,
        diskReadBytes: null,
        diskWrittenBytes: null,
      };
    },
    changed() {
      change ??= Promise.withResolvers<void>();
      return change.promise;
    },
    stop(graceSeconds) {
      if (status.phase === "exited") return;
      if (graceSeconds <= 0) return end(137);
      if (script.onTerm === "ignore") timers.push(setTimeout(() => end(137), graceSeconds * 1_000));
      else if (script.onTerm === "die") end(143);
      else {
        write("stdout", "bye");
        end(0);
      }
    },
    kill: () => end(137),
    unref() {
      for (const timer of timers) timer.unref();
    },
  };
}

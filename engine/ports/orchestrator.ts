import type { JobId } from "../ids.ts";

/** What one execution gets: ids and bounds only, never a spec, never a secret. */
export interface ExecutionInput {
  jobId: JobId;
  attempt: number;
  /** Which execution of the attempt this is: one that was overtaken by a later one leaves the job alone. */
  generation: number;
  /** The longest that *Run* may take, seconds: the spec's timeout and an allowance for the start. */
  runSeconds: number;
}

/** Executes `functions/lifecycle.asl.json`, once per attempt. */
export interface Orchestrator {
  /** Starts an execution under a name that is used once; `exists` when that name was started before. */
  start(name: string, input: ExecutionInput): Promise<"started" | "exists">;
  /** Completes the task that waits for the token; false when no task waits for it (any more). */
  complete(token: string): Promise<boolean>;
  /** Whether the named execution is still going on. */
  isRunning(name: string): Promise<boolean>;
}

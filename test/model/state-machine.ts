import type { ExecutionInput } from "../../engine/ports/orchestrator.ts";
import type { Process } from "./ports.ts";
import type { Sim } from "./sim.ts";

/** What `functions/lifecycle.asl.json` uses of the Amazon States Language. */
interface State {
  Type: "Task" | "Wait";
  Resource?: string;
  Parameters?: { FunctionName: string; Payload: Record<string, unknown> };
  TimeoutSeconds?: number;
  TimeoutSecondsPath?: string;
  ResultSelector?: Record<string, string>;
  ResultPath?: string | null;
  Retry?: Retrier[];
  Catch?: { ErrorEquals: string[]; ResultPath: string; Next: string }[];
  SecondsPath?: string;
  Next?: string;
  End?: boolean;
}

interface Retrier {
  ErrorEquals: string[];
  IntervalSeconds?: number;
  BackoffRate?: number;
  MaxDelaySeconds?: number;
  MaxAttempts: number;
}

export interface Definition {
  StartAt: string;
  States: Record<string, State>;
}

type Data = Record<string, unknown>;

/** Calls a function of the lifecycle, by the placeholder in its state; rejects when the process dies that runs it. */
export type Invoke = (functionName: string, payload: unknown) => Promise<unknown>;

export interface StateMachineOptions {
  definition: Definition;
  sim: Pick<Sim, "outside" | "sleep" | "setTimer" | "clearTimer">;
  invoke: Invoke;
  /** Executions outlive processes, as in Step Functions; else they are gone with the process, as in the local home. */
  durable: boolean;
  /** The retries that a state has are multiplied by this: with 0 everything is given up at once. */
  patience: number;
  /** The name of what a function threw, as its states know it; default: an error as any other. */
  nameOf?: (thrown: unknown) => string;
}

/** The orchestrator as the world outside sees it. */
export interface StateMachine {
  start(name: string, input: ExecutionInput): "started" | "exists";
  complete(token: string): boolean;
  isRunning(name: string): boolean;
  /** The process that ran the functions has died. */
  processDied(): void;
  /** Payloads of tasks that were run, for whoever delivers them once more. */
  readonly history: { functionName: string; payload: unknown }[];
}

class TaskError extends Error {
  readonly error: string;
  constructor(error: string) {
    super(error);
    this.error = error;
  }
}

interface Execution {
  name: string;
  gone: boolean;
  tokens: number;
}

export function createStateMachine(options: StateMachineOptions): StateMachine {
  const { definition, sim, invoke, durable, patience, nameOf = (thrown) => (thrown as Error).name } = options;
  const running = new Map<string, Execution>();
  const ended = new Set<string>();
  const waiting = new Map<string, () => void>();
  const history: StateMachine["history"] = [];

  async function run(execution: Execution, input: Data): Promise<void> {
    let data = input;
    let next: string | undefined = definition.StartAt;
    while (next !== undefined && !execution.gone) {
      const state: State = definition.States[next] as State;
      ({ data, next } = await enter(execution, state, data));
    }
  }

  async function enter(
    execution: Execution,
    state: State,
    data: Data,
  ): Promise<{ data: Data; next: string | undefined }> {
    switch (state.Type) {
      case "Wait":
        await sim.sleep(Number(at(data, state.SecondsPath ?? "")) * 1000);
        return { data, next: state.Next };
      case "Task":
        return await task(execution, state, data);
    }
  }

  async function task(
    execution: Execution,
    state: State,
    data: Data,
  ): Promise<{ data: Data; next: string | undefined }> {
    for (let tries = 0; ; tries++) {
      // It may have gone while it waited for its next try.
      if (execution.gone) return { data, next: undefined };
      try {
        const result = await once(execution, state, data);
        return { data: withResult(data, state, result), next: state.End ? undefined : state.Next };
      } catch (thrown) {
        if (execution.gone) return { data, next: undefined };
        const error = thrown instanceof TaskError ? thrown.error : nameOf(thrown);
        const retrier = state.Retry?.find(({ ErrorEquals }) => matches(ErrorEquals, error));
        if (retrier !== undefined && tries < Math.floor(retrier.MaxAttempts * patience)) {
          const { IntervalSeconds = 1, BackoffRate = 2 } = retrier;
          const seconds = IntervalSeconds * BackoffRate ** tries;
          await sim.sleep(Math.min(seconds, retrier.MaxDelaySeconds ?? seconds) * 1000);
          continue;
        }
        const catcher = state.Catch?.find(({ ErrorEquals }) => matches(ErrorEquals, error));
        if (catcher === undefined) return { data, next: undefined };
        return { data: put(data, catcher.ResultPath, { Error: error }), next: catcher.Next };
      }
    }
  }

  async function once(execution: Execution, state: State, data: Data): Promise<unknown> {
    const token = `${execution.name}:${++execution.tokens}`;
    const payload = filled(state.Parameters?.Payload ?? {}, data, token) as Data;
    const functionName = state.Parameters?.FunctionName ?? "";
    const seconds = state.TimeoutSecondsPath === undefined ? state.TimeoutSeconds : at(data, state.TimeoutSecondsPath);
    const timeout = Promise.withResolvers<never>();
    const timer = sim.setTimer(sim.outside, Number(seconds) * 1000, () =>
      timeout.reject(new TaskError("States.Timeout")),
    );
    const completed = Promise.withResolvers<null>();
    const waits = state.Resource?.endsWith(".waitForTaskToken") === true;
    if (waits) waiting.set(token, () => completed.resolve(null));
    history.push({ functionName, payload });
    const invoked = invoke(functionName, payload);
    try {
      const handled = waits ? invoked.then(() => completed.promise) : invoked;
      const result = await Promise.race(
        waits ? [handled, completed.promise, timeout.promise] : [handled, timeout.promise],
      );
      return { Payload: result };
    } finally {
      sim.clearTimer(timer);
      waiting.delete(token);
      timeout.promise.catch(() => undefined);
      invoked.catch(() => undefined);
    }
  }

  return {
    history,
    start(name, input) {
      if (running.has(name) || ended.has(name)) return "exists";
      const execution: Execution = { name, gone: false, tokens: 0 };
      running.set(name, execution);
      void run(execution, { ...input }).then(() => {
        running.delete(name);
        ended.add(name);
      });
      return "started";
    },
    complete(token) {
      const resolve = waiting.get(token);
      resolve?.();
      return resolve !== undefined;
    },
    isRunning: (name) => running.has(name),
    processDied() {
      if (durable) return;
      for (const execution of running.values()) execution.gone = true;
      running.clear();
      ended.clear();
      waiting.clear();
    },
  };
}

/** What a dead process was doing for the orchestrator has failed. */
export function diedWith(process: Process): TaskError {
  return new TaskError(`Lambda.Unknown: process ${process.id} died`);
}

function matches(errorEquals: string[], error: string): boolean {
  if (errorEquals.includes("States.ALL") || errorEquals.includes(error)) return true;
  return errorEquals.includes("States.TaskFailed") && error !== "States.Timeout";
}

function at(data: unknown, path: string): unknown {
  if (path === "$") return data;
  return path
    .slice(2)
    .split(".")
    .reduce<unknown>((value, name) => (value as Data | undefined)?.[name], data);
}

function put(data: Data, path: string, value: unknown): Data {
  return { ...data, [path.slice(2)]: value };
}

function withResult(data: Data, state: State, result: unknown): Data {
  if (state.ResultPath === null) return data;
  const selected = Object.entries(state.ResultSelector ?? {}).map(([name, path]) => [
    name.slice(0, -2),
    at(result, path),
  ]);
  return put(data, state.ResultPath ?? "$", Object.fromEntries(selected));
}

function filled(template: Data, data: Data, token: string): unknown {
  const entries = Object.entries(template).map(([name, value]) => {
    if (!name.endsWith(".$")) return [name, value];
    return [name.slice(0, -2), value === "$$.Task.Token" ? token : at(data, String(value))];
  });
  return Object.fromEntries(entries);
}

import { randomUUID } from "node:crypto";
import { StateMachine, type StateMachineDefinition } from "aws-local-stepfunctions";
import type { Logger } from "../../engine/ports/logger.ts";
import type { ExecutionInput, Orchestrator } from "../../engine/ports/orchestrator.ts";

type Json = Parameters<StateMachine["run"]>[0];

/** A function of the lifecycle, by the placeholder that stands for it in the definition. */
export type TaskHandler = (payload: unknown) => Promise<unknown>;

export interface AslOptions {
  /** The parsed `lifecycle.asl.json`. */
  definition: unknown;
  /** By the name inside `${…}` in a state's `FunctionName`. */
  handlers: Record<string, TaskHandler>;
  logger: Logger;
  /** Called with the states that an execution went through, when it has ended. */
  onEnd?: (name: string, states: string[]) => void;
}

export interface AslOrchestrator extends Orchestrator {
  /**
   * Ends every execution where it stands and waits for the functions that are at work; the next start of the home takes
   * the jobs up. Idempotent.
   */
  close(): Promise<void>;
}

interface TaskState {
  Type: string;
  TimeoutSecondsPath?: string;
  Resource?: string;
  Parameters?: { FunctionName?: string };
}

/** A task state with the function behind it and the token of its execution. */
interface BoundTask {
  state: TaskState;
  handler: TaskHandler;
  token: string;
}

interface Waiting {
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Names of ended executions that are remembered, so that a late duplicate start is seen as one. */
const MAX_REMEMBERED = 10_000;

/**
 * The lifecycle in an interpreter inside this process, for the home on one machine. Executions live in memory: a home
 * that starts anew relaunches what the ledger says was going on.
 * @throws Error when the definition is no valid state machine or names a function without a handler.
 */
export function createAslOrchestrator(options: AslOptions): AslOrchestrator {
  const definition = forInterpreter(options.definition);
  const machine = new StateMachine(definition, { validationOptions: { checkArn: false } });
  const running = new Map<string, { abort: () => void; done: Promise<void> }>();
  const ended = new Set<string>();
  const waiting = new Map<string, Waiting>();
  const handling = new Set<Promise<unknown>>();
  let closed = false;

  /** Calls a function and remembers that it is at work, so that `close` can wait for it. */
  function call(handler: TaskHandler, payload: unknown): Promise<unknown> {
    const work = handler(payload);
    const done = work.catch(() => undefined).finally(() => handling.delete(done));
    handling.add(done);
    return work;
  }

  function waitForToken(token: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.set(token, { resolve, reject });
    return promise;
  }

  function giveUpWaiting(token: string): void {
    waiting.get(token)?.resolve();
    waiting.delete(token);
  }

  async function runTask({ state, handler, token }: BoundTask, input: Json): Promise<Json> {
    if (closed) throw new Error("the orchestrator is closed");
    const { Payload } = input as { Payload: unknown };
    if (!state.Resource?.endsWith(".waitForTaskToken")) {
      // The interpreter does not tell a task that its timeout is over: that the next one begins does.
      giveUpWaiting(token);
      return { Payload: ((await call(handler, Payload)) ?? null) as Json };
    }
    const completed = waitForToken(token);
    try {
      // The handler's own end is not the task's: only a completed token is. Its failure is.
      await Promise.race([completed, call(handler, Payload).then(() => completed)]);
      return null;
    } finally {
      completed.catch(() => undefined);
      waiting.delete(token);
    }
  }

  function overridesFor(token: string): Record<string, (input: Json) => Promise<Json>> {
    const tasks = Object.entries(definition.States as unknown as Record<string, TaskState>).filter(
      ([, state]) => state.Type === "Task",
    );
    return Object.fromEntries(
      tasks.map(([name, state]) => {
        const handler = handlerOf(state, options.handlers, name);
        return [name, (input: Json) => runTask({ state, handler, token }, input)];
      }),
    );
  }

  overridesFor("checks that every function has a handler");

  return {
    async start(name: string, input: ExecutionInput) {
      if (closed) throw new Error("the orchestrator is closed");
      if (running.has(name) || ended.has(name)) return "exists";
      const token = randomUUID();
      const execution = machine.run(input as unknown as Json, {
        overrides: { taskResourceLocalHandlers: overridesFor(token) },
        context: { Task: { Token: token } },
        noThrowOnAbort: true,
      });
      const done = (async () => {
        const states: string[] = [];
        try {
          const trace = (async () => {
            for await (const log of execution.eventLogs) if (log.type === "StateEntered") states.push(log.state.name);
          })();
          await execution.result;
          await trace;
        } catch (error) {
          // The job stands where the ledger says; the reconciler goes on from there.
          options.logger.error({ execution: name, error }, "execution failed");
        } finally {
          running.delete(name);
          remember(ended, name);
          options.onEnd?.(name, states);
        }
      })();
      running.set(name, { abort: execution.abort, done });
      return "started";
    },
    async complete(token) {
      const task = waiting.get(token);
      task?.resolve();
      return task !== undefined;
    },
    async isRunning(name) {
      return running.has(name);
    },
    async close() {
      closed = true;
      const executions = [...running.values()];
      for (const { abort } of executions) abort();
      for (const { reject } of waiting.values()) reject(new Error("the orchestrator is closed"));
      await Promise.all([...executions.map(({ done }) => done), ...handling]);
    },
  };
}

/**
 * The definition as this interpreter understands it: it resolves `TimeoutSecondsPath` against what a task is called
 * with, where Step Functions takes the state's input. The payload carries the same field.
 */
function forInterpreter(definition: unknown): StateMachineDefinition {
  const copy = structuredClone(definition) as { States: Record<string, TaskState> };
  for (const state of Object.values(copy.States)) {
    const { TimeoutSecondsPath: path } = state;
    if (path !== undefined) state.TimeoutSecondsPath = path.replace(/^\$\./, "$.Payload.");
  }
  return copy as unknown as StateMachineDefinition;
}

function handlerOf(state: TaskState, handlers: Record<string, TaskHandler>, name: string): TaskHandler {
  const placeholder = /^\$\{(\w+)\}$/.exec(state.Parameters?.FunctionName ?? "")?.[1];
  const handler = placeholder === undefined ? undefined : handlers[placeholder];
  if (handler === undefined) throw new Error(`state ${name} names no function with a handler`);
  return handler;
}

function remember(names: Set<string>, name: string): void {
  names.add(name);
  if (names.size <= MAX_REMEMBERED) return;
  const [oldest] = names;
  if (oldest !== undefined) names.delete(oldest);
}

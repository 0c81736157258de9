import { AsyncLocalStorage } from "node:async_hooks";
import type { Readable } from "node:stream";
import { type Fault, type FaultyClient, failure } from "../lab/aws-faults.ts";

/** How much of a call a fault strikes: one try of it, which the client repeats, or all, so that its caller hears of it. */
export const REACHES = ["try", "call"] as const;
export type Reach = (typeof REACHES)[number];

/** One fault in the life of one job. */
export interface Strike {
  /** Which call: the function that makes it, the command, and its number among such calls, such as `dispatch Decrypt 1`. */
  call: string;
  fault: Fault;
  reach: Reach;
}

/** The calls that are made for one job, all functions together. */
export interface Calls {
  /** Runs a function's invocation: what it calls is counted under its name. */
  within<T>(functionName: string, work: () => Promise<T>): Promise<T>;
  /** Every call so far, by its name. */
  made(): string[];
  /** How many tries the fault has struck. */
  struck(): number;
  /** Lets calls arrive whose callers have stopped waiting. */
  arrive(): Promise<void>;
}

/** A call that a service has done, whether its caller heard of it or not. */
export interface Done {
  command: string;
  input: unknown;
}

interface Here {
  functionName: string;
  done(done: Done): void;
  note(command: string, functionName: string): Struck | null;
  late(send: () => Promise<void>): void;
}

/** A call that a fault strikes. */
interface Struck {
  fault: Fault;
  /** Whether this try is struck. */
  next(): boolean;
}

const here = new AsyncLocalStorage<Here>();
const MARK = "longshoreStruck";

/** @param onDone is told of every call that took effect. */
export function createCalls(strike: Strike | null, onDone: (done: Done) => void): Calls {
  const made: string[] = [];
  const counts = new Map<string, number>();
  const late: (() => Promise<void>)[] = [];
  let struck = 0;

  const note = (command: string, functionName: string): Struck | null => {
    const kind = `${functionName} ${command.replace(/Command$/, "")}`;
    const n = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, n);
    made.push(`${kind} ${n}`);
    if (strike?.call !== `${kind} ${n}`) return null;
    let tries = 0;
    return {
      fault: strike.fault,
      next() {
        if (strike.reach === "try" && tries > 0) return false;
        tries++;
        struck++;
        return true;
      },
    };
  };

  return {
    within: (functionName, work) =>
      here.run({ functionName, note, done: onDone, late: (send) => void late.push(send) }, work),
    made: () => made,
    struck: () => struck,
    async arrive() {
      for (const send of late.splice(0)) await send();
    },
  };
}

interface Answer {
  response: { body?: Readable };
}
interface Sent {
  input: unknown;
}
type Next<A, R> = (args: A) => Promise<R>;
type Context = { commandName?: string; [MARK]?: Struck | null };

/**
 * Lets the calls of a client be counted and struck, for whatever job they are made. A call that is too slow takes effect
 * only after its caller has given up waiting, and the function that made it has ended.
 */
export function strikable(client: FaultyClient): void {
  const count = (next: Next<unknown, unknown>, context: Context) => async (args: unknown) => {
    const caller = here.getStore();
    context[MARK] = caller?.note(context.commandName ?? "", caller.functionName) ?? null;
    return await next(args);
  };
  // Below the client's own retries, so that each of its tries comes through here.
  const strike = (next: Next<Sent, Answer>, context: Context) => async (args: Sent) => {
    const caller = here.getStore();
    const send = async (): Promise<Answer> => {
      const answer = await next(args);
      caller?.done({ command: context.commandName ?? "", input: args.input });
      return answer;
    };
    const struck = context[MARK];
    if (!struck?.next()) return await send();
    const unheard = async (): Promise<void> => {
      await send().then(
        ({ response }) => response.body?.resume?.(),
        () => undefined,
      );
    };
    if (struck.fault === "slow") caller?.late(unheard);
    if (struck.fault === "after") await unheard();
    throw failure(struck.fault);
  };
  client.middlewareStack.add(count as never, { step: "initialize", name: "longshoreCount" } as never);
  const behindRetries = { step: "deserialize", name: "longshoreStrike", priority: "high" };
  client.middlewareStack.add(strike as never, behindRetries as never);
}

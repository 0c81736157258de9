/** The parts of an SDK client that the faults need; every client of the AWS SDK has them. */
export interface FaultyClient {
  middlewareStack: {
    add(middleware: never, options: never): void;
    remove(name: string): boolean;
  };
}

/**
 * What can go wrong with a call: it never leaves (`before`); it took effect but its answer is lost (`after`); the service
 * refuses it as one too many (`throttled`) or fails by itself without having done anything (`error`); or it is done, but
 * too late for a caller that has stopped waiting (`slow`: as `after`, told as a timeout).
 */
export const FAULTS = ["before", "after", "throttled", "error", "slow"] as const;
export type Fault = (typeof FAULTS)[number];

/** Which calls a fault strikes, retries counted like calls. */
export interface Strike {
  fault: Fault;
  /** The command's name, such as `TransactWriteItemsCommand`; default: any. */
  command?: string;
  /** The n-th such call from now on, from 1; default 1. */
  nth?: number;
  /** How many calls in a row; default 1. */
  times?: number;
}

export interface AwsFaults {
  /** From now on; replaces the strike before. */
  strike(strike: Strike): void;
  /** The commands that were tried since the last strike, and what befell each. */
  calls(): { command: string; fault: Fault | null }[];
  /** Takes the faults off the client. */
  remove(): void;
}

const NAME = "longshoreTestFaults";

/** A failure as the SDK knows it: what makes it try again, and what it tells the driver in the end. */
export function failure(fault: Fault): Error {
  switch (fault) {
    case "before":
    case "after":
      return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    case "slow":
      return Object.assign(new Error("no answer in time"), { name: "TimeoutError" });
    case "throttled":
      return service("ThrottlingException", 400);
    case "error":
      return service("InternalServerError", 500);
  }
}

function service(name: string, httpStatusCode: number): Error {
  const error = new Error("a fault of the test");
  return Object.assign(error, {
    name,
    $fault: httpStatusCode < 500 ? "client" : "server",
    $metadata: { httpStatusCode },
  });
}

/**
 * Puts faults into the calls of a client, below its retries, so that a retry meets them too and the driver sees what it
 * would see in AWS.
 */
export function injectFaults(client: FaultyClient): AwsFaults {
  let strike: Strike | undefined;
  let matched = 0;
  let calls: { command: string; fault: Fault | null }[] = [];

  const faultFor = (command: string): Fault | null => {
    if (strike === undefined || (strike.command !== undefined && strike.command !== command)) return null;
    matched += 1;
    const { nth = 1, times = 1, fault } = strike;
    return matched >= nth && matched < nth + times ? fault : null;
  };

  const middleware =
    (next: (args: unknown) => Promise<unknown>, context: { commandName?: string }) => async (args: unknown) => {
      const command = context.commandName ?? "";
      const fault = faultFor(command);
      calls.push({ command, fault });
      if (fault === null) return await next(args);
      if (fault === "after" || fault === "slow") await next(args);
      throw failure(fault);
    };
  client.middlewareStack.add(
    middleware as never,
    { step: "deserialize", name: NAME, priority: "high", override: true } as never,
  );

  return {
    strike(next) {
      strike = next;
      matched = 0;
      calls = [];
    },
    calls: () => calls,
    remove: () => void client.middlewareStack.remove(NAME),
  };
}

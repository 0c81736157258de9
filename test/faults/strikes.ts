import { FAULTS, type Fault } from "../lab/aws-faults.ts";
import { REACHES, type Strike } from "./calls.ts";

/** Calls that change something: what they did may be done again, or late. */
const WRITES: ReadonlySet<string> = new Set([
  "PutEvents",
  "PutObject",
  "SendTaskSuccess",
  "StartExecution",
  "TransactWriteItems",
]);

function isWrite(call: string): boolean {
  return WRITES.has(call.split(" ")[1] ?? "");
}

/** Every fault at every call: one try of it, and all of them. */
export function everyStrike(calls: readonly string[]): Strike[] {
  return calls.flatMap((call) => FAULTS.flatMap((fault) => REACHES.map((reach) => ({ call, fault, reach }))));
}

/**
 * Every call with every fault that can make a difference to it: a write with all of them, and with one lost and one late
 * try; a read, whose caller is told the same by each, with one of them.
 */
export function tellingStrikes(calls: readonly string[]): Strike[] {
  return calls.flatMap((call, at): Strike[] => {
    if (!isWrite(call)) return [{ call, fault: oneOf(at), reach: "call" }];
    const given = FAULTS.map((fault): Strike => ({ call, fault, reach: "call" }));
    return [...given, { call, fault: "after", reach: "try" }, { call, fault: "slow", reach: "try" }];
  });
}

/** Every write, whose effect its caller does not hear of. */
export function lostWrites(calls: readonly string[]): Strike[] {
  return calls.filter(isWrite).map((call) => ({ call, fault: "after", reach: "call" }));
}

function oneOf(at: number): Fault {
  return FAULTS[at % FAULTS.length] as Fault;
}

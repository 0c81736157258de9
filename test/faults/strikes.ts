import { FAULTS, type Fault } from "../lab/aws-faults.ts";
import { REACHES, type Strike } from "./calls.ts";

/** Calls that change nothing. What another one did may be done again, or late. */
const READS = /^(BatchGet|Decrypt|Describe|Generate|Get|Head|List|Query)/;

const commandOf = (call: string) => call.split(" ")[1] ?? "";
const isWrite = (call: string) => !READS.test(commandOf(call));

/** Every fault at every call: one try of it, and all of them. */
export function everyStrike(calls: readonly string[]): Strike[] {
  return calls.flatMap((call) => FAULTS.flatMap((fault) => REACHES.map((reach) => ({ call, fault, reach }))));
}

/** Faults of a call that has done nothing: whoever made it is told the same by each. */
const UNDONE: readonly Fault[] = ["before", "throttled", "error"];

/**
 * Every call with the faults that make a difference to it. A write: not done, done unheard, done late, each by one try and
 * by all of them, of which the first is left out for what was not done. A read, whose caller is told the same by each
 * fault: one of them.
 */
export function tellingStrikes(calls: readonly string[]): Strike[] {
  return calls.flatMap((call, at): Strike[] => {
    const one = (faults: readonly Fault[]) => faults[at % faults.length] as Fault;
    if (!isWrite(call)) return [{ call, fault: one(FAULTS), reach: "call" }];
    const done = (["after", "slow"] as const).flatMap((fault) => REACHES.map((reach) => ({ call, fault, reach })));
    return [{ call, fault: one(UNDONE), reach: "call" }, ...done];
  });
}

/** Every write, whose effect its caller does not hear of. */
export function lostWrites(calls: readonly string[]): Strike[] {
  return calls.filter(isWrite).map((call) => ({ call, fault: "after", reach: "call" }));
}

/** The calls that only an attempt on ECS makes; the others are those of every job. */
export function callsOfEcs(calls: readonly string[]): string[] {
  return calls.filter((call) => /Task(?!Success)|Log|Parameter/.test(commandOf(call)));
}

/** What starts a task with every fault, and each other write lost. */
export function strikesOfEcs(calls: readonly string[]): Strike[] {
  const starts = calls.filter((call) => commandOf(call) === "RunTask");
  return [...everyStrike(starts), ...lostWrites(calls.filter((call) => !starts.includes(call)))];
}

/** Whether a call may be left out or come again as time goes: a look at a task that is on its way. */
export function isPoll({ call }: Strike): boolean {
  return commandOf(call) === "DescribeTasks";
}

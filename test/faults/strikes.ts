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

/**
 * Every call with every fault that can make a difference to it: a write with all of them, and with one lost and one late
 * try; a read, whose caller is told the same by each, with one of them.
 */
export function tellingStrikes(calls: readonly string[]): Strike[] {
  return calls.flatMap((call, at): Strike[] => {
    if (!isWrite(call)) return [{ call, fault: FAULTS[at % FAULTS.length] as Fault, reach: "call" }];
    const given = FAULTS.map((fault): Strike => ({ call, fault, reach: "call" }));
    return [...given, { call, fault: "after", reach: "try" }, { call, fault: "slow", reach: "try" }];
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

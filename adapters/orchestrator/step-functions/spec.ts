import { randomBytes } from "node:crypto";
import type { ExecutionInput } from "../../../engine/ports/orchestrator.ts";

/** The longest that Step Functions takes. */
const MAX_TOKEN = 2048;

/** Blanks behind the input, each one of two: enough to tell a call from all others of the same name. */
const MARK_BYTES = 4;

/** The ARN of an execution, from its state machine's and its name. @throws Error for what is no state machine's ARN. */
export function executionArn(stateMachineArn: string, name: string): string {
  const parts = /^(arn:[^:]+:states:[^:]*:[^:]*):stateMachine:([^:]+)$/.exec(stateMachineArn);
  if (parts === null) throw new Error("stateMachineArn must be the ARN of a state machine");
  const [, place, machine] = parts;
  return `${place}:execution:${machine}:${name}`;
}

/**
 * The input as text, with blanks at its end that no two calls have in common. Step Functions answers a second start with
 * the same name and the same text like the first one while the execution runs: with other text it says that the name is
 * taken. A retry of the same call, whose first answer was lost, sends the same text and is answered like the first.
 */
export function inputText(input: ExecutionInput): string {
  const bits = [...randomBytes(MARK_BYTES)].flatMap((byte) => Array.from({ length: 8 }, (_, at) => (byte >> at) & 1));
  return `${JSON.stringify(input)}${bits.map((bit) => (bit === 1 ? "\n" : " ")).join("")}`;
}

/** Whether Step Functions would take it as a token at all. */
export function isToken(token: string): boolean {
  return token.length >= 1 && token.length <= MAX_TOKEN;
}

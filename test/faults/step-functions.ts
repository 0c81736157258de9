import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { SFNClient } from "@aws-sdk/client-sfn";
import { clientDefaults } from "../../adapters/aws/client.ts";
import { executionArn } from "../../adapters/orchestrator/step-functions/spec.ts";
import type { ExecutionInput } from "../../engine/ports/orchestrator.ts";
import { createStateMachine, type Invoke, type StateMachine } from "../model/state-machine.ts";
import type { VirtualClock } from "./clock.ts";

export const MACHINE_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:lifecycle";

const LIFECYCLE = readFileSync(new URL("../../functions/lifecycle.asl.json", import.meta.url), "utf8");

/** Step Functions in virtual time, behind a client of the SDK that speaks to it as it would over the network. */
export interface StepFunctions {
  client: SFNClient;
  machine: StateMachine;
  /** The names of the executions that were started, in order. */
  started(): string[];
}

interface Asked {
  name: string;
  input: string;
  taskToken: string;
  executionArn: string;
}

/**
 * The lifecycle of `functions/lifecycle.asl.json`, with the time of a virtual clock, which no server of AWS has: a retry's
 * delay and the timeout of a task pass at once. What it answers is what Step Functions answers: the same name and input
 * again is the same start while the execution runs, and an ended name is taken.
 */
export function createStepFunctions(clock: VirtualClock, invoke: Invoke): StepFunctions {
  const definition = JSON.parse(LIFECYCLE);
  const nameOf = (thrown: unknown) => (thrown instanceof Error ? thrown.name : "Error");
  const machine = createStateMachine({ definition, sim: clock, invoke, durable: true, patience: 1, nameOf });
  const inputs = new Map<string, string>();

  const answers: Record<string, (asked: Asked) => object> = {
    StartExecution({ name, input }) {
      const known = inputs.get(name);
      if (known !== undefined && !(known === input && machine.isRunning(name))) {
        throw new Refusal("ExecutionAlreadyExists");
      }
      if (known === undefined) machine.start(name, JSON.parse(input) as ExecutionInput);
      inputs.set(name, input);
      return { executionArn: executionArn(MACHINE_ARN, name), startDate: clock.nowMs() / 1000 };
    },
    SendTaskSuccess({ taskToken }) {
      if (!machine.complete(taskToken)) throw new Refusal("TaskDoesNotExist");
      return {};
    },
    DescribeExecution({ executionArn: arn }) {
      const name = arn.slice(arn.lastIndexOf(":") + 1);
      if (!inputs.has(name)) throw new Refusal("ExecutionDoesNotExist");
      const status = machine.isRunning(name) ? "RUNNING" : "SUCCEEDED";
      return { executionArn: arn, stateMachineArn: MACHINE_ARN, name, status, startDate: clock.nowMs() / 1000 };
    },
  };

  const client = new SFNClient({
    ...clientDefaults("sfn"),
    region: "us-east-1",
    credentials: { accessKeyId: "lab", secretAccessKey: "lab" },
    requestHandler: {
      async handle({ headers, body }: { headers: Record<string, string>; body: Uint8Array }) {
        const target = headers["x-amz-target"] ?? "";
        try {
          const answer = answers[target.slice(target.indexOf(".") + 1)];
          if (answer === undefined) throw new Refusal("UnknownOperationException");
          return { response: responseOf(200, answer(JSON.parse(new TextDecoder().decode(body)))) };
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          return { response: responseOf(400, { __type: error.message, message: error.message }) };
        }
      },
    } as never,
  });
  return { client, machine, started: () => [...inputs.keys()] };
}

class Refusal extends Error {}

function responseOf(statusCode: number, body: object) {
  const headers = { "content-type": "application/x-amz-json-1.0" };
  return { statusCode, headers, body: Readable.from([Buffer.from(JSON.stringify(body))]) };
}

import {
  DescribeExecutionCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import type { Orchestrator } from "../../../engine/ports/orchestrator.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError } from "../../aws/errors.ts";
import { executionArn, inputText, isToken } from "./spec.ts";

export interface StepFunctionsOptions {
  /** The ARN of the lifecycle's state machine. */
  stateMachineArn: string;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: SFNClient;
}

/** What Step Functions answers to a token for which no task waits: ended, timed out, or never given. */
const NOT_WAITING: ReadonlySet<string> = new Set(["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"]);

/**
 * The lifecycle on Step Functions Standard, which keeps a closed execution's name for 90 days.
 * Throws (from all methods) LongshoreError UNAVAILABLE when Step Functions cannot be asked, INTERNAL when it refuses the
 * caller.
 */
export function createStepFunctionsOrchestrator(options: StepFunctionsOptions): Orchestrator {
  const { stateMachineArn } = options;
  const client = options.client ?? new SFNClient(clientDefaults("sfn"));

  return {
    async start(name, input) {
      try {
        await client.send(new StartExecutionCommand({ stateMachineArn, name, input: inputText(input) }));
        return "started";
      } catch (thrown) {
        if (awsCode(thrown) === "ExecutionAlreadyExists") return "exists";
        throw awsError("starting an execution", thrown);
      }
    },
    async complete(taskToken) {
      if (!isToken(taskToken)) return false;
      try {
        await client.send(new SendTaskSuccessCommand({ taskToken, output: "null" }));
        return true;
      } catch (thrown) {
        if (NOT_WAITING.has(awsCode(thrown) ?? "")) return false;
        throw awsError("completing a task", thrown);
      }
    },
    async isRunning(name) {
      try {
        const arn = executionArn(stateMachineArn, name);
        const { status } = await client.send(new DescribeExecutionCommand({ executionArn: arn }));
        return status === "RUNNING" || status === "PENDING_REDRIVE";
      } catch (thrown) {
        if (awsCode(thrown) === "ExecutionDoesNotExist") return false;
        throw awsError("looking at an execution", thrown);
      }
    },
  };
}

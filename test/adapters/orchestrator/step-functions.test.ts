import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  CreateStateMachineCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  SFNClient,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createStepFunctionsOrchestrator } from "../../../adapters/orchestrator/step-functions/index.ts";
import { executionArn, inputText } from "../../../adapters/orchestrator/step-functions/spec.ts";
import type { Orchestrator } from "../../../engine/ports/orchestrator.ts";
import {
  executionInput,
  type FinalizePayload,
  NO_RETRY,
  orchestratorContract,
  type RunPayload,
  recordingHandlers,
} from "../../contracts/orchestrator.ts";
import { labSettings } from "../../lab/aws.ts";
import { type AwsFaults, FAULTS, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";
import { startFunctions } from "../../lab/functions.ts";

const LIFECYCLE = readFileSync("functions/lifecycle.asl.json", "utf8");

describeWith("aws", "step functions on moto", () => {
  let client: SFNClient;
  beforeAll(async () => {
    client = new SFNClient({ ...clientDefaults("sfn"), ...(await labSettings("aws")) });
  });
  afterAll(() => client.destroy());

  const makeMachine = async (substitutions: Record<string, string>): Promise<string> => {
    const definition = LIFECYCLE.replace(/\$\{(\w+)\}/g, (whole, name: string) => substitutions[name] ?? whole);
    const roleArn = "arn:aws:iam::123456789012:role/lab";
    const command = new CreateStateMachineCommand({ name: `longshore-${randomUUID()}`, definition, roleArn });
    return (await client.send(command)).stateMachineArn ?? "";
  };

  const stopAll = async (stateMachineArn: string): Promise<void> => {
    const running = new ListExecutionsCommand({ stateMachineArn, statusFilter: "RUNNING" });
    for (const { executionArn } of (await client.send(running)).executions ?? []) {
      await client.send(new StopExecutionCommand({ executionArn }));
    }
  };

  /** The states that an execution entered; undefined while it runs. */
  const livedThrough = async (arn: string): Promise<string[] | undefined> => {
    const { events = [] } = await client.send(new GetExecutionHistoryCommand({ executionArn: arn }));
    if (!/^Execution(Succeeded|Failed|Aborted|TimedOut)$/.test(events.at(-1)?.type ?? "")) return undefined;
    return events.flatMap(({ stateEnteredEventDetails: entered }) =>
      entered?.name === undefined ? [] : [entered.name],
    );
  };

  orchestratorContract(
    "step-functions",
    async (handlers) => {
      const functions = await startFunctions({
        dispatch: (payload) => handlers.dispatch(payload as RunPayload),
        finalize: (payload) => handlers.finalize(payload as FinalizePayload),
      });
      const stateMachineArn = await makeMachine({
        DispatchFunction: functions.arn("dispatch"),
        FinalizeFunction: functions.arn("finalize"),
      });
      return {
        orchestrator: createStepFunctionsOrchestrator({ stateMachineArn, client }),
        ended: (name) =>
          vi.waitFor(
            async () => {
              const states = await livedThrough(executionArn(stateMachineArn, name));
              if (states === undefined) throw new Error(`${name} has not ended`);
              return states;
            },
            { timeout: 20_000, interval: 50 },
          ),
        pass: async () => undefined,
        async end() {
          await stopAll(stateMachineArn);
          await functions.stop();
        },
      };
    },
    {
      realTime: "moto's time is real",
      noEarlyToken: "moto loses a token that is completed before the function has answered",
    },
  );

  describe("under faults", () => {
    // A client of its own for each test: the SDK's budget of retries is a client's.
    let client: SFNClient;
    let stateMachineArn: string;
    let orchestrator: Orchestrator;
    let handlers: ReturnType<typeof recordingHandlers>;
    let functions: Awaited<ReturnType<typeof startFunctions>>;
    let faults: AwsFaults;
    beforeEach(async () => {
      client = new SFNClient({ ...clientDefaults("sfn"), ...(await labSettings("aws")) });
      handlers = recordingHandlers();
      functions = await startFunctions({
        dispatch: (payload) => handlers.dispatch(payload as RunPayload),
        finalize: async () => NO_RETRY,
      });
      stateMachineArn = await makeMachine({
        DispatchFunction: functions.arn("dispatch"),
        FinalizeFunction: functions.arn("finalize"),
      });
      orchestrator = createStepFunctionsOrchestrator({ stateMachineArn, client });
      faults = injectFaults(client);
    });
    afterEach(async () => {
      client.destroy();
      await stopAll(stateMachineArn);
      await functions.stop();
    });

    it.each(FAULTS)("starts one execution, and completes its token, though a call fails: %s", async (fault) => {
      faults.strike({ fault });
      expect(await orchestrator.start("e", executionInput())).toBe("started");
      const { token } = await handlers.dispatches(1);
      faults.strike({ fault });
      expect(await orchestrator.isRunning("e")).toBe(true);
      faults.strike({ fault });
      const completed = await orchestrator.complete(token);
      // Whose completion took effect before its answer was lost may have no task that waits any more.
      if (fault !== "after" && fault !== "slow") expect(completed).toBe(true);
      await vi.waitFor(async () => expect(await orchestrator.isRunning("e")).toBe(false), { timeout: 20_000 });
      expect(handlers.dispatched).toHaveLength(1);
      const executions = await client.send(new ListExecutionsCommand({ stateMachineArn }));
      expect(executions.executions?.map(({ name }) => name)).toEqual(["e"]);
    });

    it("is unavailable when every try fails", async () => {
      faults.strike({ fault: "error", times: 100 });
      const unavailable = { code: "UNAVAILABLE", providerCode: "InternalServerError" };
      await expect(orchestrator.start("e", executionInput())).rejects.toMatchObject(unavailable);
      await expect(orchestrator.isRunning("e")).rejects.toMatchObject(unavailable);
      await expect(orchestrator.complete("t")).rejects.toMatchObject(unavailable);
    });

    it("says that its state machine is missing", async () => {
      const nowhere = createStepFunctionsOrchestrator({ stateMachineArn: `${stateMachineArn}x`, client });
      const missing = { code: "INTERNAL", providerCode: "StateMachineDoesNotExist" };
      await expect(nowhere.start("e", executionInput())).rejects.toMatchObject(missing);
    });
  });
});

describe("step functions", () => {
  /** Step Functions' own answers, which moto gives to none of these. */
  const answering = (name: string) => {
    const send = vi.fn(async () => {
      throw Object.assign(new Error("x"), { name, $metadata: { httpStatusCode: 400 } });
    });
    const stateMachineArn = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
    return createStepFunctionsOrchestrator({ stateMachineArn, client: { send } as unknown as SFNClient });
  };

  it.each(["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"])("has no task for a token: %s", async (name) => {
    expect(await answering(name).complete("token")).toBe(false);
  });

  it.each(["AccessDeniedException", "InvalidOutput"])("does not take %s for a task that is gone", async (name) => {
    await expect(answering(name).complete("token")).rejects.toMatchObject({ code: "INTERNAL", providerCode: name });
  });

  it("asks nobody about a token that cannot be one", async () => {
    expect(await answering("AccessDeniedException").complete("x".repeat(2049))).toBe(false);
  });

  it("is unavailable, and not gone, when it is throttled", async () => {
    const throttled = { code: "UNAVAILABLE" };
    await expect(answering("ThrottlingException").isRunning("e")).rejects.toMatchObject(throttled);
    await expect(answering("ThrottlingException").complete("t")).rejects.toMatchObject(throttled);
    expect(await answering("ExecutionDoesNotExist").isRunning("e")).toBe(false);
  });

  it("finds an execution by its machine's ARN, in any partition", () => {
    expect(executionArn("arn:aws-cn:states:cn-north-1:1:stateMachine:m", "e")).toBe(
      "arn:aws-cn:states:cn-north-1:1:execution:m:e",
    );
    expect(() => executionArn("m", "e")).toThrow("stateMachineArn");
  });

  it("sends ids and bounds, and a text that no other call sends", () => {
    const texts = Array.from({ length: 100 }, () => inputText(executionInput()));
    expect(new Set(texts).size).toBe(100);
    for (const text of texts) expect(JSON.parse(text)).toEqual(executionInput());
  });
});

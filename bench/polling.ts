import { readFile } from "node:fs/promises";
import { StateMachine, type StateMachineDefinition } from "aws-local-stepfunctions";

/** What one job costs where a state machine asks for its end. */
export interface PollingCount {
  transitions: number;
  invocations: number;
  /** DynamoDB's units: every step but a check notes the status and an event, each a plain write of one item. */
  writes: number;
}

const WRITES_PER_STEP = 2;

/** Runs the machine of `polling.asl.json` for a job of so many seconds, without the waits, and counts what it enters. */
export async function countPolling(runSeconds: number): Promise<PollingCount> {
  const definition = JSON.parse(await readFile(new URL("polling.asl.json", import.meta.url), "utf8"));
  const waitSeconds: number = definition.States.Wait.Seconds;
  const machine = new StateMachine(definition as StateMachineDefinition);
  let waited = 0;
  const count: PollingCount = { transitions: 0, invocations: 0, writes: 0 };
  const states = Object.entries<{ Type: string }>(definition.States);
  const tasks = states.filter(([, { Type }]) => Type === "Task").map(([name]) => name);
  const handlers = tasks.map((name) => [
    name,
    async () => {
      count.invocations++;
      if (name === "Check") waited += waitSeconds;
      else count.writes += WRITES_PER_STEP;
      return { ended: waited >= runSeconds };
    },
  ]);
  const execution = machine.run(
    { ended: false },
    { overrides: { taskResourceLocalHandlers: Object.fromEntries(handlers), waitTimeOverrides: { Wait: 0 } } },
  );
  const entering = (async () => {
    for await (const log of execution.eventLogs) if (log.type === "StateEntered") count.transitions++;
  })();
  await execution.result;
  await entering;
  return count;
}

import type { Task } from "@aws-sdk/client-ecs";
import { type EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

/**
 * What ECS tells on the account's own bus when a task has changed, as far as moto knows the task: the task as it is
 * described, without its tags, and of the overrides the names only.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
 */
export function taskStateChange({ tags: _tags, overrides, ...task }: Task): Record<string, unknown> {
  const names = overrides?.containerOverrides?.map(({ name }) => ({ name })) ?? [];
  return {
    ...task,
    availabilityZone: "us-east-1a",
    connectivity: "CONNECTED",
    overrides: { containerOverrides: names },
    updatedAt: new Date(),
  };
}

/** Puts such an event on the account's own bus, where every deployed rule that it matches hears it. */
export async function putTaskEvent(client: EventBridgeClient, detail: Record<string, unknown>): Promise<void> {
  const entry = {
    Source: "aws.ecs",
    DetailType: "ECS Task State Change",
    Detail: JSON.stringify(detail),
    Resources: [String(detail.taskArn)],
  };
  const { FailedEntryCount } = await client.send(new PutEventsCommand({ Entries: [entry] }));
  if (FailedEntryCount !== 0) throw new Error("the bus did not take an event of ECS");
}

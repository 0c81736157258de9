import {
  DescribeTasksCommand,
  type ECSClient,
  ListTasksCommand,
  type ListTasksCommandInput,
  StopTaskCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { LABELS } from "../../../engine/naming.ts";
import type { ExternalRef } from "../../../engine/ports/runtime.ts";
import { awsCode } from "../../aws/errors.ts";
import { STOP_REASON, tagged } from "./names.ts";
import { ecsFailure } from "./refusals.ts";

/** As many as DescribeTasks takes. */
export const MAX_DESCRIBED = 100;

/** The tasks of one cluster. Every method throws LongshoreError RUNTIME_UNAVAILABLE or UNKNOWN. */
export interface Tasks {
  /** What ECS knows of them, whosever they are, in one call for a hundred. */
  describe(refs: readonly ExternalRef[]): Promise<Map<ExternalRef, Task>>;
  /** As `describe`, without those that are not this home's. */
  describeOwn(refs: readonly ExternalRef[]): Promise<Map<ExternalRef, Task>>;
  /** The tasks that were started under the name and that nobody has stopped or that have ended. */
  startedBy(externalName: string): Promise<ExternalRef[]>;
  /** Every task of the cluster that is to run, or that has ended in the last hour. */
  list(desiredStatus: "RUNNING" | "STOPPED"): AsyncGenerator<ExternalRef[]>;
  /** Asks a task to end. One that has ended, or is not there, is left alone. */
  stop(ref: ExternalRef): Promise<void>;
}

/** @param home.clusterArn and the home whose tasks are its own. */
export function createTasks(client: ECSClient, { clusterArn, homeId }: { clusterArn: string; homeId: string }): Tasks {
  const cluster = clusterArn;

  async function describe(refs: readonly ExternalRef[]): Promise<Map<ExternalRef, Task>> {
    const found = new Map<ExternalRef, Task>();
    for (let at = 0; at < refs.length; at += MAX_DESCRIBED) {
      const tasks = refs.slice(at, at + MAX_DESCRIBED);
      const answer = await asking("showing tasks", () =>
        client.send(new DescribeTasksCommand({ cluster, tasks, include: ["TAGS"] })),
      );
      // Those that it does not know are in `failures`, as MISSING.
      for (const task of answer.tasks ?? []) if (task.taskArn !== undefined) found.set(task.taskArn, task);
    }
    return found;
  }

  async function* pages(filter: Omit<ListTasksCommandInput, "cluster">): AsyncGenerator<ExternalRef[]> {
    let nextToken: string | undefined;
    do {
      const input = { cluster, ...filter, ...(nextToken === undefined ? {} : { nextToken }) };
      const answer = await asking("listing tasks", () => client.send(new ListTasksCommand(input)));
      yield answer.taskArns ?? [];
      nextToken = answer.nextToken;
    } while (nextToken !== undefined);
  }

  return {
    describe,
    async describeOwn(refs) {
      const found = await describe(refs);
      for (const [ref, task] of found) if (tagged(task.tags, LABELS.home) !== homeId) found.delete(ref);
      return found;
    },
    // It must be the only filter, and then only tasks that are to run are listed:
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
    startedBy: async (startedBy) => (await Array.fromAsync(pages({ startedBy }))).flat(),
    list: (desiredStatus) => pages({ desiredStatus, maxResults: MAX_DESCRIBED }),
    async stop(task) {
      try {
        await client.send(new StopTaskCommand({ cluster, task, reason: STOP_REASON }));
      } catch (thrown) {
        if (awsCode(thrown) === "InvalidParameterException") return;
        throw ecsFailure("stopping a task", thrown);
      }
    },
  };
}

async function asking<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw ecsFailure(what, thrown);
  }
}

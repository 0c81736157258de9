import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { awsCode } from "../../aws/errors.ts";
import { CONTAINER, streamPrefix } from "./names.ts";
import { ecsFailure } from "./refusals.ts";

interface Group {
  client: CloudWatchLogsClient;
  logGroup: string;
}

/** The ids of the tasks of a home that have a log: those that were started and have not been cleaned up. */
export async function* tasksWithLog({ client, logGroup }: Group, homeId: string): AsyncGenerator<string[]> {
  const { DescribeLogStreamsCommand } = await import("@aws-sdk/client-cloudwatch-logs");
  const logStreamNamePrefix = `${streamPrefix(homeId)}/${CONTAINER}/`;
  let nextToken: string | undefined;
  do {
    const input = {
      logGroupName: logGroup,
      logStreamNamePrefix,
      ...(nextToken === undefined ? {} : { nextToken }),
    };
    const answer = await client.send(new DescribeLogStreamsCommand(input)).catch((thrown: unknown) => {
      throw ecsFailure("listing logs", thrown);
    });
    yield (answer.logStreams ?? []).map(({ logStreamName = "" }) => logStreamName.slice(logStreamNamePrefix.length));
    nextToken = answer.nextToken;
  } while (nextToken !== undefined);
}

/** Removes a log stream. Idempotent. */
export async function removeStream({ client, logGroup }: Group, logStreamName: string): Promise<void> {
  const { DeleteLogStreamCommand } = await import("@aws-sdk/client-cloudwatch-logs");
  try {
    await client.send(new DeleteLogStreamCommand({ logGroupName: logGroup, logStreamName }));
  } catch (thrown) {
    if (awsCode(thrown) === "ResourceNotFoundException") return;
    throw ecsFailure("removing a log", thrown);
  }
}

import { randomUUID } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { clientDefaults } from "../../../../adapters/aws/client.ts";
import { createDynamodbTable } from "../../../../adapters/table/dynamodb/index.ts";
import { tableContract } from "../../../contracts/table.ts";
import { labSettings } from "../../../lab/aws.ts";
import type { AwsServerName } from "../../../lab/aws-servers.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { makeTable } from "./make-table.ts";

/** The table contract on one of the servers that stand for DynamoDB. */
export function dynamodbContract(server: AwsServerName, suite: { title: string; randomRuns: number }): void {
  const { title, randomRuns } = suite;
  describeWith(server, title, () => {
    let client: DynamoDBClient;
    beforeAll(async () => {
      client = new DynamoDBClient({ ...clientDefaults("dynamodb"), ...(await labSettings(server)) });
    });
    afterAll(() => client.destroy());
    tableContract(
      title,
      async () => createDynamodbTable({ table: await makeTable(client, `longshore-${randomUUID()}`), client }),
      { randomRuns },
    );
  });
}

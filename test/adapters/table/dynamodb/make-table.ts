import { CreateTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { INDEX_KEYS } from "../../../../adapters/table/dynamodb/attributes.ts";

/** Makes a table as it is deployed, with a stream; resolves with its name. */
export async function makeTable(client: DynamoDBClient, name: string): Promise<string> {
  const indexes = Object.entries(INDEX_KEYS);
  const text = (AttributeName: string) => ({ AttributeName, AttributeType: "S" as const });
  const keys = ({ pk, sk }: { pk: string; sk: string }) => [
    { AttributeName: pk, KeyType: "HASH" as const },
    { AttributeName: sk, KeyType: "RANGE" as const },
  ];
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: ["pk", "sk", ...indexes.flatMap(([, { pk, sk }]) => [pk, sk])].map(text),
      KeySchema: keys({ pk: "pk", sk: "sk" }),
      GlobalSecondaryIndexes: indexes.map(([IndexName, key]) => ({
        IndexName,
        KeySchema: keys(key),
        Projection: { ProjectionType: "KEYS_ONLY" },
      })),
      StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
    }),
  );
  return name;
}

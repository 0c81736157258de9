import { inject } from "vitest";
import type { AwsServerName } from "./aws-servers.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the servers that stand for AWS are asked for. */
    awsServers: string;
  }
}

/** What a client needs to speak to a server of the lab. */
export interface LabSettings {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}

/**
 * Settings for a client of DynamoDB Local (`dynamodb`) or of moto (`aws`), which are started when a test first asks.
 * For hooks and tests inside of `describeWith` with the same name. With a `tenant` of one's own, DynamoDB Local and moto
 * keep what belongs to it apart from all others': twelve digits, as an account has.
 */
export async function labSettings(server: AwsServerName, tenant = "123456789012"): Promise<LabSettings> {
  const answer = await fetch(`${inject("awsServers")}/${server}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the lab's ${server} cannot be used: ${text}`);
  return {
    endpoint: text,
    region: "us-east-1",
    credentials: { accessKeyId: tenant, secretAccessKey: "lab" },
  };
}

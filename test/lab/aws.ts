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
  requestHandler: { connectionTimeout: number; requestTimeout: number; throwOnRequestTimeout: true };
}

/**
 * Settings for a client of DynamoDB Local (`dynamodb`) or of moto (`aws`), which are started when a test first asks; they
 * go behind the driver's own. For hooks and tests inside of `describeWith` with the same name.
 */
export async function labSettings(server: AwsServerName): Promise<LabSettings> {
  const answer = await fetch(`${inject("awsServers")}/${server}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the lab's ${server} cannot be used: ${text}`);
  return {
    endpoint: text,
    region: "us-east-1",
    credentials: { accessKeyId: "123456789012", secretAccessKey: "lab" },
    // One process stands for all of AWS here, on a machine that is busy with the tests: its slowness is no fault.
    requestHandler: { connectionTimeout: 10_000, requestTimeout: 60_000, throwOnRequestTimeout: true },
  };
}

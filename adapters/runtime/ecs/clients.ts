import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { ECSClient } from "@aws-sdk/client-ecs";
import type { SSMClient } from "@aws-sdk/client-ssm";
import { clientDefaults } from "../../aws/client.ts";

/** The clients of the three services; those that few calls need are loaded with the first one. */
export interface Clients {
  ecs: ECSClient;
  logs(): Promise<CloudWatchLogsClient>;
  ssm(): Promise<SSMClient>;
  /** Ends the connections of those that were made here. */
  close(): void;
}

/** Clients to use instead of one's own; whoever made them ends them. */
export interface GivenClients {
  ecs?: ECSClient;
  logs?: CloudWatchLogsClient;
  ssm?: SSMClient;
}

/** The clients of one adapter, in the cluster's region; the SDK finds credentials and endpoint. */
export function createClients(region: string, given: GivenClients = {}): Clients {
  const made: { destroy(): void }[] = [];
  const keep = <T extends { destroy(): void }>(client: T): T => {
    made.push(client);
    return client;
  };
  const ecs = given.ecs ?? keep(new ECSClient({ ...clientDefaults("ecs"), region }));
  let logs: Promise<CloudWatchLogsClient> | undefined;
  let ssm: Promise<SSMClient> | undefined;
  return {
    ecs,
    logs() {
      logs ??= (async () => {
        if (given.logs !== undefined) return given.logs;
        const { CloudWatchLogsClient } = await import("@aws-sdk/client-cloudwatch-logs");
        return keep(new CloudWatchLogsClient({ ...clientDefaults("logs"), region }));
      })();
      return logs;
    },
    ssm() {
      ssm ??= (async () => {
        if (given.ssm !== undefined) return given.ssm;
        const { SSMClient } = await import("@aws-sdk/client-ssm");
        return keep(new SSMClient({ ...clientDefaults("ssm"), region }));
      })();
      return ssm;
    },
    close() {
      for (const client of made) client.destroy();
    },
  };
}

import { randomUUID } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateEventBusCommand, EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { clientDefaults } from "../../adapters/aws/client.ts";
import { createS3Objects } from "../../adapters/objects/s3/index.ts";
import { createKmsSealer } from "../../adapters/sealer/kms/index.ts";
import { createSsmSecrets } from "../../adapters/secrets/ssm/index.ts";
import { createDynamodbTable } from "../../adapters/table/dynamodb/index.ts";
import { type HomeRecord, openHomeRecord } from "../../engine/ledger/home.ts";
import type { Clock } from "../../engine/ports/clock.ts";
import type { Objects } from "../../engine/ports/objects.ts";
import type { Sealer } from "../../engine/ports/sealer.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";
import type { Table } from "../../engine/ports/table.ts";
import { ecsHarness } from "../adapters/runtime/ecs/harness.ts";
import { makeTable } from "../adapters/table/dynamodb/make-table.ts";
import { labSettings } from "../lab/aws.ts";
import { strikable } from "./calls.ts";
import { ecsRuntime, stubRuntime, type WatchedRuntime } from "./runtime.ts";

const SECRET_PREFIX = "/longshore/faults/";
/** What a job's secret reference stands for. */
export const REFERENCED = "referenced-51ab";

/** What the accounts of a test share: names of resources that no test changes. */
export interface Resources {
  bucket: string;
  bus: string;
  keyId: string;
  macKeyId: string;
}

/** Makes them on moto. */
export async function makeResources(): Promise<Resources> {
  const settings = await labSettings("aws");
  const kms = new KMSClient(settings);
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  const bridge = new EventBridgeClient(settings);
  const ssm = new SSMClient(settings);
  const name = `longshore-faults-${randomUUID()}`;
  const [spec, mac] = await Promise.all([
    kms.send(new CreateKeyCommand({ KeySpec: "SYMMETRIC_DEFAULT" })),
    kms.send(new CreateKeyCommand({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })),
    s3.send(new CreateBucketCommand({ Bucket: name })),
    bridge.send(new CreateEventBusCommand({ Name: name })),
    ssm.send(
      new PutParameterCommand({
        Name: `${SECRET_PREFIX}token`,
        Value: REFERENCED,
        Type: "SecureString",
        Overwrite: true,
      }),
    ),
  ]);
  for (const client of [kms, s3, bridge, ssm]) client.destroy();
  return { bucket: name, bus: name, keyId: spec.KeyMetadata?.KeyId ?? "", macKeyId: mac.KeyMetadata?.KeyId ?? "" };
}

/** A home's part of an account: a table of its own, and drivers whose calls can be struck. One job lives in it at a time. */
export interface Account {
  home: HomeRecord;
  table: Table;
  objects: Objects;
  sealer: Sealer;
  secrets: SecretSource;
  bus: { name: string; client: EventBridgeClient };
  /** A runtime of the account, as one job finds it. */
  runtime(name: "stub" | "ecs", clock: Clock): WatchedRuntime;
  /** Where the last life in it ended, ms since the epoch. */
  nowMs: number;
  close(): Promise<void>;
}

export async function openAccount(resources: Resources): Promise<Account> {
  const [local, moto] = await Promise.all([labSettings("dynamodb"), labSettings("aws")]);
  const dynamodb = new DynamoDBClient({ ...clientDefaults("dynamodb"), ...local });
  const kms = new KMSClient({ ...clientDefaults("kms"), ...moto });
  const s3 = new S3Client({ ...clientDefaults("s3"), ...moto, forcePathStyle: true });
  const bridge = new EventBridgeClient({ ...clientDefaults("eventbridge"), ...moto });
  const ssm = new SSMClient({ ...clientDefaults("ssm"), ...moto });
  const clients = [dynamodb, kms, s3, bridge, ssm];
  for (const client of clients) strikable(client);
  const name = await makeTable(dynamodb, `longshore-${randomUUID()}`);
  const table = createDynamodbTable({ table: name, client: dynamodb });
  const nowMs = Date.now();
  const home = await openHomeRecord({ table, clock: () => nowMs, limits: limitsOf() });
  const cluster = `faults-${randomUUID()}`;
  const ecs = await ecsHarness(cluster);
  for (const client of [ecs.logs, ecs.ssm]) strikable(client);
  return {
    home,
    table,
    objects: createS3Objects({ bucket: resources.bucket, client: s3 }),
    sealer: createKmsSealer({ keyId: resources.keyId, macKeyId: resources.macKeyId, client: kms }),
    secrets: createSsmSecrets({ prefix: SECRET_PREFIX, client: ssm }),
    bus: { name: resources.bus, client: bridge },
    runtime(name, clock) {
      return name === "stub"
        ? stubRuntime(home.homeId, clock)
        : ecsRuntime(ecs, { homeId: home.homeId, cluster }, clock);
    },
    nowMs,
    async close() {
      await ecs.dispose();
      await table.close();
      for (const client of clients) client.destroy();
    },
  };
}

/** One shard of each counter: more would be more calls of the same kind. */
export function limitsOf() {
  return {
    maxQueued: 10,
    maxConcurrent: () => 4,
    maxPerKey: () => 1,
    shards: 1,
    sealedRetentionSeconds: 86_400,
  };
}

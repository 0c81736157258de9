import { Duration, RemovalPolicy } from "aws-cdk-lib";
import {
  AttributeType,
  BillingMode,
  type ITable,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
} from "aws-cdk-lib/aws-dynamodb";
import { Key, KeySpec, KeyUsage } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { type InfraSettings, retentionOf } from "../settings.ts";
import { acknowledge } from "./nag.ts";

/** What holds data. */
export interface Stores {
  table: ITable;
  bucket: Bucket;
  /** Under which data keys are made that seal specs and the values to mask. */
  specKey: Key;
  /** For keyed hashes, by which a second submission is known again. */
  digestKey: Key;
}

/** The data of a home. It outlives the stack unless the operator says otherwise. */
export function makeStores(scope: Construct, settings: InfraSettings): Stores {
  const retain = settings.data === "retain";
  const removalPolicy = retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
  return {
    table:
      settings.tableStreamArn === undefined
        ? makeTable(scope, removalPolicy)
        : restored(scope, settings.tableStreamArn),
    bucket: makeBucket(scope, removalPolicy, settings),
    specKey: new Key(scope, "SpecKey", {
      description: "Longshore: seals job specs",
      enableKeyRotation: true,
      removalPolicy,
    }),
    digestKey: new Key(scope, "DigestKey", {
      description: "Longshore: keyed hashes of submissions",
      keySpec: KeySpec.HMAC_256,
      keyUsage: KeyUsage.GENERATE_VERIFY_MAC,
      removalPolicy,
    }),
  };
}

const INDEXES = ["index1", "index2"];

/** A table that somebody restored: it has the keys and the indexes of the one that it was, and no owner in this stack. */
function restored(scope: Construct, tableStreamArn: string): ITable {
  const [tableArn = ""] = tableStreamArn.split("/stream/");
  return Table.fromTableAttributes(scope, "RestoredTable", { tableArn, tableStreamArn, globalIndexes: INDEXES });
}

function makeTable(scope: Construct, removalPolicy: RemovalPolicy): ITable {
  const text = (attribute: string) => ({ name: attribute, type: AttributeType.STRING });
  const table = new Table(scope, "Table", {
    partitionKey: text("pk"),
    sortKey: text("sk"),
    billingMode: BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    timeToLiveAttribute: "ttl",
    // The change feed reads what was put; nobody reads what was there before.
    stream: StreamViewType.NEW_IMAGE,
    // AWS's own key: every function has to use it, and secret values are sealed under another beforehand.
    encryption: TableEncryption.AWS_MANAGED,
    removalPolicy,
  });
  for (const index of INDEXES) {
    table.addGlobalSecondaryIndex({
      indexName: index,
      partitionKey: text(`${index}pk`),
      sortKey: text(`${index}sk`),
      // Only keys: what an index holds beside them would be written anew with every change of a job (docs/adr/0016).
      projectionType: ProjectionType.KEYS_ONLY,
    });
  }
  // Its type leaves open whether it has a stream, in words that the interface's does not take.
  return table as ITable;
}

function makeBucket(scope: Construct, removalPolicy: RemovalPolicy, settings: InfraSettings): Bucket {
  const bucket = new Bucket(scope, "Bucket", {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    lifecycleRules: [
      { id: "unfinished", abortIncompleteMultipartUploadAfter: Duration.days(1) },
      // The sweep erases what a run has stored with the run. This is for what it should ever miss, so it comes later, and
      // nothing of a job whose attempt may still go on is this old.
      ...PREFIXES.map((prefix) => ({
        id: prefix,
        prefix: `${prefix}/`,
        expiration: Duration.days(retentionOf(settings).longest + MAX_TIMEOUT_DAYS + SPARE_DAYS),
      })),
    ],
    removalPolicy,
  });
  acknowledge(bucket, "S1", "only the functions read and write it, and each of their invocations is in their logs");
  return bucket;
}

/** 2,000,000 s, the longest that an attempt may take. */
const MAX_TIMEOUT_DAYS = 24;
const SPARE_DAYS = 7;
/** What is stored of a run. */
const PREFIXES = ["runs", "logs", "artifacts"] as const;

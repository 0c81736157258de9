import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { DecryptCommand, GenerateDataKeyCommand, GenerateMacCommand, KMSClient } from "@aws-sdk/client-kms";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Sealer } from "../../../engine/ports/sealer.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError, calling } from "../../aws/errors.ts";
import { NONCE_BYTES, pack, refused, TAG_BYTES, unpack } from "./format.ts";

/** Far more than the largest spec. */
const MAX_BYTES = 16 * 1024 * 1024;
const DEFLATED_MARK = Buffer.of(0xff);
/**
 * What nearly every spec holds, most frequent last: what a text has in common with it need not be stored. It can never change: what is sealed was made with it.
 */
const SPEC_LIKE = Buffer.from(
  '"volumes":[{"readOnly":true,"source":"/data","target":"/data"}],"user":"1000:1000","workdir":"/work","registryAuth":{"from":"secretsmanager:"},"secrets":{"API_TOKEN":{"from":"ssm:/"}},"sensitive":[],"concurrencyKey":"","runtime":"ecs","runtime":"docker","artifacts":{"gzip":false,"maxBytes":104857600,"paths":[]},"args":["-c"],"cleanup":"always","command":["sh","-c"],"env":{},"image":"dkr.ecr.us-east-1.amazonaws.com/","labels":{},"lane":"default","logs":{"maxBytes":10485760},"name":"","network":{"mode":"isolated"},"priority":0,"resources":{"cpu":0.5,"memoryMiB":512},"retry":{"backoff":2,"delaySeconds":5,"maxAttempts":1,"maxDelaySeconds":300,"on":["AUTH","IMAGE_PULL","RUNTIME_UNAVAILABLE","UNKNOWN"]},"secrets":{},"security":{"addCapabilities":[],"readOnlyRoot":false},"sensitive":[],"stopGraceSeconds":10,"timeoutSeconds":3600,"volumes":[]}',
);

export interface KmsSealerOptions {
  /** Id, ARN or alias of the symmetric key under which data keys are made. */
  keyId: string;
  /** Id, ARN or alias of an HMAC_256 key, for digests. */
  macKeyId: string;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: KMSClient;
}

/** What KMS answers when the ciphertext, its key or its context is wrong. */
const NOT_OURS: ReadonlySet<string> = new Set(["IncorrectKeyException", "InvalidCiphertextException"]);

/**
 * The caller has no right to open: the operator can give it back, and a role that was just changed may lack it for some
 * seconds. Told as altered bytes it would cost an attempt, or a log for good.
 */
const DENIED = "AccessDeniedException";

/**
 * Seals by envelope: AES-256-GCM under a data key of its own for every text, made and encrypted by KMS with the
 * encryption context `{ jobId: context }`, which KMS logs and by which its policy can be narrowed. A text is deflated
 * before, where that makes it shorter: what seals it is stored by the KiB. Digests are KMS's
 * HMAC under a second key. Neither of the two keys ever leaves KMS.
 * Throws (from all methods) LongshoreError UNAVAILABLE when KMS cannot be asked, INTERNAL when it refuses the caller;
 * `open` tells a missing right as UNAVAILABLE too, since what is sealed can be opened once it is there.
 */
export function createKmsSealer(options: KmsSealerOptions): Sealer {
  const client = options.client ?? new KMSClient(clientDefaults("kms"));

  return {
    async seal(plain, context) {
      const { key, wrapped } = await calling("making a data key", async () => {
        const command = new GenerateDataKeyCommand({
          KeyId: options.keyId,
          KeySpec: "AES_256",
          EncryptionContext: contextOf(context),
        });
        const { Plaintext, CiphertextBlob } = await client.send(command);
        if (Plaintext === undefined || CiphertextBlob === undefined) throw new Error("KMS gave no data key");
        return { key: Plaintext, wrapped: CiphertextBlob };
      });
      try {
        const nonce = randomBytes(NONCE_BYTES);
        const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        const deflated = deflateRawSync(plain, { dictionary: SPEC_LIKE });
        const isShorter = deflated.length < plain.length;
        cipher.setAAD(boundTo(wrapped, context, isShorter));
        const ciphertext = Buffer.concat([cipher.update(isShorter ? deflated : plain), cipher.final()]);
        return pack({ deflated: isShorter, wrapped, nonce, ciphertext, tag: cipher.getAuthTag() });
      } finally {
        key.fill(0);
      }
    },
    async open(sealed, context) {
      const { deflated, wrapped, nonce, ciphertext, tag } = unpack(sealed);
      const key = await unwrap(client, { keyId: options.keyId, wrapped, context });
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(boundTo(wrapped, context, deflated));
        decipher.setAuthTag(tag);
        const opened = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
        return deflated ? inflateRawSync(opened, { dictionary: SPEC_LIKE, maxOutputLength: MAX_BYTES }) : opened;
      } catch (cause) {
        throw refused("were altered", cause);
      } finally {
        key.fill(0);
      }
    },
    async digest(data, context) {
      // KMS takes 4096 bytes at most: it gets a hash of everything. Context and data cannot run together in it.
      const bound = Buffer.from(context);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bound.length);
      const Message = createHash("sha256").update(length).update(bound).update(data).digest();
      return await calling("making a keyed hash", async () => {
        const command = new GenerateMacCommand({ KeyId: options.macKeyId, MacAlgorithm: "HMAC_SHA_256", Message });
        const { Mac } = await client.send(command);
        if (Mac === undefined) throw new Error("KMS gave no hash");
        return Buffer.from(Mac).toString("hex");
      });
    },
  };
}

async function unwrap(
  client: KMSClient,
  { keyId, wrapped, context }: { keyId: string; wrapped: Uint8Array; context: string },
): Promise<Uint8Array> {
  try {
    const command = new DecryptCommand({
      KeyId: keyId,
      CiphertextBlob: wrapped,
      EncryptionContext: contextOf(context),
    });
    const { Plaintext } = await client.send(command);
    if (Plaintext === undefined) throw new Error("KMS gave no data key");
    return Plaintext;
  } catch (thrown) {
    const error = awsError("opening a data key", thrown);
    const code = awsCode(thrown) ?? "";
    if (NOT_OURS.has(code)) throw refused("are for another context or key", error);
    if (code !== DENIED) throw error;
    throw new LongshoreError("UNAVAILABLE", error.message, { cause: error.cause, providerCode: code });
  }
}

function contextOf(context: string): Record<string, string> {
  return { jobId: context };
}

// The wrapped key's length is inside it, so that it and the context cannot be told apart in two ways. Nor can a text that was
// deflated be taken for one that was not: it has one more byte in front of a length that is never so great.
function boundTo(wrapped: Uint8Array, context: string, deflated: boolean): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(wrapped.length);
  const bound = Buffer.concat([length, wrapped, Buffer.from(context)]);
  return deflated ? Buffer.concat([DEFLATED_MARK, bound]) : bound;
}

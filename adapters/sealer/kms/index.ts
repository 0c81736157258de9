import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { DecryptCommand, GenerateDataKeyCommand, GenerateMacCommand, KMSClient } from "@aws-sdk/client-kms";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Sealer } from "../../../engine/ports/sealer.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError, calling } from "../../aws/errors.ts";
import { NONCE_BYTES, pack, refused, TAG_BYTES, unpack } from "./format.ts";

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
 * encryption context `{ jobId: context }`, which KMS logs and by which its policy can be narrowed. Digests are KMS's
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
        cipher.setAAD(boundTo(wrapped, context));
        const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
        return pack({ wrapped, nonce, ciphertext, tag: cipher.getAuthTag() });
      } finally {
        key.fill(0);
      }
    },
    async open(sealed, context) {
      const { wrapped, nonce, ciphertext, tag } = unpack(sealed);
      const key = await unwrap(client, { keyId: options.keyId, wrapped, context });
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(boundTo(wrapped, context));
        decipher.setAuthTag(tag);
        return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
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

// The wrapped key's length is inside it, so that it and the context cannot be told apart in two ways.
function boundTo(wrapped: Uint8Array, context: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(wrapped.length);
  return Buffer.concat([length, wrapped, Buffer.from(context)]);
}

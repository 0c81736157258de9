import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { awsCode, calling } from "../../aws/errors.ts";

/** S3's smallest part; its 10,000 of them are 48 GiB, more than any bound on artifacts. */
const PART_BYTES = 5 * 1024 * 1024;

/** Where an object goes. */
export interface Target {
  client: S3Client;
  Bucket: string;
  Key: string;
}

/**
 * Stores a stream as one object and resolves with its size: in one piece when it fits into one part, else in parts, one
 * after the other, which S3 shows as an object only when all are there. Not by `@aws-sdk/lib-storage`, which holds four
 * times as much of a stream. Whatever fails, the parts are given up; those of a process that died are for the bucket's
 * lifecycle rule.
 * @throws what the source throws, as it is; LongshoreError UNAVAILABLE or INTERNAL for S3.
 */
export async function upload(target: Target, source: AsyncIterable<Uint8Array>): Promise<number> {
  const { client, ...object } = target;
  // The one buffer for all parts: each is stored before the next is filled in.
  const part = Buffer.allocUnsafe(PART_BYTES);
  const parts: CompletedPart[] = [];
  let filled = 0;
  let uploadId: string | undefined;

  const storePart = async (): Promise<void> => {
    uploadId ??= await begin(target);
    const PartNumber = parts.length + 1;
    const Body = part.subarray(0, filled);
    const command = new UploadPartCommand({ ...object, UploadId: uploadId, PartNumber, Body, ContentLength: filled });
    const { ETag } = await calling("storing a part of an object", () => client.send(command));
    parts.push({ PartNumber, ...(ETag === undefined ? {} : { ETag }) });
    filled = 0;
  };

  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; ) {
        if (filled === PART_BYTES) await storePart();
        const piece = chunk.subarray(at, at + PART_BYTES - filled);
        part.set(piece, filled);
        filled += piece.length;
        at += piece.length;
      }
    }
    const sizeBytes = parts.length * PART_BYTES + filled;
    if (uploadId === undefined) {
      const command = new PutObjectCommand({ ...object, Body: part.subarray(0, filled), ContentLength: filled });
      await calling("storing an object", () => client.send(command));
    } else {
      await storePart();
      await complete(target, { uploadId, parts, sizeBytes });
    }
    return sizeBytes;
  } catch (thrown) {
    if (uploadId !== undefined) await giveUp(target, uploadId);
    throw thrown;
  }
}

async function begin({ client, ...object }: Target): Promise<string> {
  return await calling("beginning an upload", async () => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
    if (UploadId === undefined) throw new Error("S3 gave no upload id");
    return UploadId;
  });
}

async function complete(
  { client, ...object }: Target,
  { uploadId, parts, sizeBytes }: { uploadId: string; parts: CompletedPart[]; sizeBytes: number },
): Promise<void> {
  const command = new CompleteMultipartUploadCommand({
    ...object,
    UploadId: uploadId,
    MultipartUpload: { Parts: parts },
  });
  await calling("completing an upload", async () => {
    try {
      await client.send(command);
    } catch (thrown) {
      if (awsCode(thrown) !== "NoSuchUpload") throw thrown;
      // A first try took effect and its answer was lost: then what is there has as many parts and bytes.
      const { ETag, ContentLength } = await client.send(new HeadObjectCommand(object));
      if (ContentLength !== sizeBytes || ETag?.endsWith(`-${parts.length}"`) !== true) throw thrown;
    }
  });
}

/** What made the upload fail is what its caller is told; that S3 also keeps the parts for a while harms nobody. */
async function giveUp({ client, ...object }: Target, UploadId: string): Promise<void> {
  await client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => undefined);
}

import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { LongshoreError } from "../../../engine/errors.ts";
import { checkObjectKey, checkObjectPrefix, checkRange } from "../../../engine/object-keys.ts";
import type { ObjectInfo, Objects } from "../../../engine/ports/objects.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsError, awsStatus, calling } from "../../aws/errors.ts";
import { upload } from "./upload.ts";

export interface S3ObjectsOptions {
  bucket: string;
  /** Objects a page of a listing, 1–1000; default 1000. */
  pageObjects?: number;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: S3Client;
}

/** What S3 says of an object; its ETag names the very bytes. */
interface Head {
  info: ObjectInfo;
  etag: string | undefined;
}

/**
 * Objects in one S3 bucket. S3 itself makes a put atomic and durable; what does not fit in one part of 5 MiB is uploaded
 * in parts, and given up as a whole when its source fails. A read is pinned to the object that was found.
 * Throws (from all methods) LongshoreError UNAVAILABLE when S3 cannot be asked, INTERNAL when it refuses the caller.
 */
export function createS3Objects(options: S3ObjectsOptions): Objects {
  const { bucket, pageObjects = 1000 } = options;
  const client = options.client ?? new S3Client(clientDefaults("s3"));

  const find = async (key: string): Promise<Head | undefined> => {
    try {
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      return { info: infoOf(key, head.ContentLength, head.LastModified), etag: head.ETag };
    } catch (thrown) {
      if (awsStatus(thrown) === 404) return undefined;
      throw awsError("looking at an object", thrown);
    }
  };

  async function* read({ info, etag }: Head, range: { start: number; end: number }): AsyncGenerator<Uint8Array> {
    if (range.end < range.start) return;
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: info.key,
      Range: `bytes=${range.start}-${range.end}`,
      ...(etag === undefined ? {} : { IfMatch: etag }),
    });
    let body: Readable;
    try {
      const answer = await client.send(command);
      body = answer.Body as Readable;
    } catch (thrown) {
      if (awsStatus(thrown) === 412) throw new LongshoreError("CONFLICT", "the object was replaced before it was read");
      if (awsStatus(thrown) === 404) throw new LongshoreError("NOT_FOUND", "the object was deleted before it was read");
      throw awsError("reading an object", thrown);
    }
    try {
      // Left early, the stream is destroyed and its connection with it.
      yield* body as AsyncIterable<Uint8Array>;
    } catch (thrown) {
      throw awsError("reading an object", thrown);
    }
  }

  return {
    async put(key, body) {
      checkObjectKey(key);
      let sizeBytes: number;
      if (body instanceof Uint8Array) {
        const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: body.length });
        await calling("storing an object", () => client.send(command));
        sizeBytes = body.length;
      } else {
        sizeBytes = await upload({ client, Bucket: bucket, Key: key }, body);
      }
      // Only S3 knows when: of an upload in parts the time is that of its beginning.
      const stored = await find(key);
      if (stored === undefined) throw new LongshoreError("CONFLICT", "the object was deleted as soon as it was stored");
      return { ...stored.info, sizeBytes };
    },
    async get(key, range) {
      checkObjectKey(key);
      const { start, end } = checkRange(range);
      const found = await find(key);
      if (found === undefined) return undefined;
      // Asked for when it is read, so that nobody holds a connection for bytes that nobody reads.
      return { ...found.info, body: read(found, { start, end: Math.min(end, found.info.sizeBytes - 1) }) };
    },
    async head(key) {
      checkObjectKey(key);
      return (await find(key))?.info;
    },
    async delete(key) {
      checkObjectKey(key);
      await calling("deleting an object", () => client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })));
    },
    async *list(prefix) {
      checkObjectPrefix(prefix);
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          MaxKeys: pageObjects,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        });
        const page = await calling("listing objects", () => client.send(command));
        for (const { Key, Size, LastModified } of page.Contents ?? []) yield infoOf(Key ?? "", Size, LastModified);
        token = page.NextContinuationToken;
      } while (token !== undefined);
    },
  };
}

function infoOf(key: string, size: number | undefined, modified: Date | undefined): ObjectInfo {
  if (modified === undefined) throw new LongshoreError("INTERNAL", "S3 does not tell when an object was stored");
  return { key, sizeBytes: size ?? 0, storedAt: modified.toISOString() };
}

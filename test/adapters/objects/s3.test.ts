import { createHash, randomUUID } from "node:crypto";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createS3Objects } from "../../../adapters/objects/s3/index.ts";
import { upload } from "../../../adapters/objects/s3/upload.ts";
import { objectsContract } from "../../contracts/objects.ts";
import { labSettings } from "../../lab/aws.ts";
import { FAULTS, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";

const MIB = 1024 * 1024;

describeWith("aws", "s3 objects on moto", () => {
  let client: S3Client;
  beforeAll(async () => {
    // moto has one host for all buckets.
    client = new S3Client({ ...clientDefaults("s3"), ...(await labSettings("aws")), forcePathStyle: true });
  });
  afterAll(() => client.destroy());

  const makeBucket = async (): Promise<string> => {
    const bucket = `longshore-${randomUUID()}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    return bucket;
  };

  objectsContract("s3", async () => ({
    objects: createS3Objects({ bucket: await makeBucket(), client }),
    end: async () => undefined,
  }));

  it("leaves no parts of an upload whose source fails after some were stored", async () => {
    const bucket = await makeBucket();
    const objects = createS3Objects({ bucket, client });
    async function* broken(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 12; n += 1) yield Buffer.alloc(MIB, n);
      throw new Error("the source broke");
    }
    await expect(objects.put("a", broken())).rejects.toThrow("the source broke");
    expect((await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? []).toEqual([]);
    expect(await objects.head("a")).toBe(undefined);
  });

  it("lists more objects than one page holds", async () => {
    const objects = createS3Objects({ bucket: await makeBucket(), pageObjects: 3, client });
    const keys = Array.from({ length: 7 }, (_, n) => `k${n}`);
    await Promise.all(keys.map((key) => objects.put(key, Buffer.from("x"))));
    const found: string[] = [];
    for await (const { key } of objects.list("k")) found.push(key);
    expect(found).toEqual(keys);
  });

  it.each(FAULTS)(
    "stores a stream in parts, whole and once, though each of its calls fails once: %s",
    async (fault) => {
      const bucket = await makeBucket();
      const commands = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];
      for (const command of commands) {
        const faulty = new S3Client({ ...clientDefaults("s3"), ...(await labSettings("aws")), forcePathStyle: true });
        const objects = createS3Objects({ bucket, client: faulty });
        const faults = injectFaults(faulty);
        faults.strike({ fault, command: `${command}Command` });
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let n = 0; n < 6; n += 1) yield Buffer.alloc(MIB, n);
          yield Buffer.from("the end");
        }
        expect(await objects.put(command, body())).toMatchObject({ sizeBytes: 6 * MIB + 7 });
        expect(faults.calls().filter((call) => call.fault !== null)).toHaveLength(1);
        const digest = createHash("sha256");
        const found = await objects.get(command);
        for await (const part of found!.body) digest.update(part);
        const expected = createHash("sha256");
        for await (const part of body()) expected.update(part);
        expect(digest.digest("hex")).toBe(expected.digest("hex"));
        faulty.destroy();
      }
    },
  );

  it("stores a stream that fills its parts exactly", async () => {
    const objects = createS3Objects({ bucket: await makeBucket(), client });
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 10; n += 1) yield Buffer.alloc(MIB, n);
    }
    expect(await objects.put("two-parts", body())).toMatchObject({ sizeBytes: 10 * MIB });
    expect(await objects.head("two-parts")).toMatchObject({ sizeBytes: 10 * MIB });
  });

  it.each(FAULTS)("puts and reads though a call fails: %s", async (fault) => {
    const bucket = await makeBucket();
    const objects = createS3Objects({ bucket, client });
    const faults = injectFaults(client);
    try {
      faults.strike({ fault });
      await objects.put("a", Buffer.from("text"));
      faults.strike({ fault, command: "GetObjectCommand" });
      const found = await objects.get("a");
      const parts: Uint8Array[] = [];
      for await (const part of found!.body) parts.push(part);
      expect(Buffer.concat(parts).toString()).toBe("text");
    } finally {
      faults.remove();
    }
  });

  it("is unavailable while S3 fails, and says that its bucket is missing", async () => {
    const objects = createS3Objects({ bucket: await makeBucket(), client });
    const faults = injectFaults(client);
    faults.strike({ fault: "error", times: 100 });
    await expect(objects.head("a")).rejects.toMatchObject({ code: "UNAVAILABLE", providerCode: "InternalServerError" });
    await expect(objects.put("a", Buffer.from("x"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    faults.remove();
    const nowhere = createS3Objects({ bucket: `none-${randomUUID()}`, client });
    await expect(nowhere.put("a", Buffer.from("x"))).rejects.toMatchObject({ providerCode: "NoSuchBucket" });
  });
});

describe("an upload whose completion is said to be unknown", () => {
  const sizeBytes = 6 * MIB;
  /** moto completes an upload twice without complaint; S3 may have forgotten it: a client that answers as told. */
  const uploadWith = async (head: { ETag: string; ContentLength: number }): Promise<number> => {
    const answers: Record<string, () => unknown> = {
      CreateMultipartUploadCommand: () => ({ UploadId: "u" }),
      UploadPartCommand: () => ({ ETag: "e" }),
      CompleteMultipartUploadCommand: () => {
        throw Object.assign(new Error("x"), { name: "NoSuchUpload", $metadata: { httpStatusCode: 404 } });
      },
      HeadObjectCommand: () => head,
      AbortMultipartUploadCommand: () => ({}),
    };
    const client = { send: async (command: object) => answers[command.constructor.name]?.() } as unknown as S3Client;
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(sizeBytes);
    }
    return await upload({ client, Bucket: "b", Key: "k" }, body());
  };

  it("is done when the object is there with its parts and bytes: the first answer was lost", async () => {
    expect(await uploadWith({ ETag: '"abc-2"', ContentLength: sizeBytes })).toBe(sizeBytes);
  });

  it.each([
    { ETag: '"abc-2"', ContentLength: sizeBytes - 1 },
    { ETag: '"abc-12"', ContentLength: sizeBytes },
    { ETag: '"abc"', ContentLength: sizeBytes },
  ])("failed when another object is there: %j", async (head) => {
    await expect(uploadWith(head)).rejects.toMatchObject({ code: "INTERNAL", providerCode: "NoSuchUpload" });
  });
});

import { randomUUID } from "node:crypto";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createS3Objects } from "../../../adapters/objects/s3/index.ts";
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
    const objects = createS3Objects({ bucket: await makeBucket(), client });
    const keys = Array.from({ length: 1_001 }, (_, n) => `k${String(n).padStart(5, "0")}`);
    for (let at = 0; at < keys.length; at += 100) {
      await Promise.all(keys.slice(at, at + 100).map((key) => objects.put(key, Buffer.from("x"))));
    }
    const found: string[] = [];
    for await (const { key } of objects.list("k")) found.push(key);
    expect(found).toEqual(keys);
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

import { createHash } from "node:crypto";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createKmsSealer } from "../../../adapters/sealer/kms/index.ts";
import type { Sealer } from "../../../engine/ports/sealer.ts";
import { sealerContract } from "../../contracts/sealer.ts";
import { labSettings } from "../../lab/aws.ts";
import { type AwsFaults, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";

const CONTEXT = "job_01JZZZZZZZZZZZZZZZZZZZZZZZ";
const refused = { name: "LongshoreError", code: "UNKNOWN" };

/** With a checksum that is right again, as somebody who knows the format would alter the bytes. */
function altered(sealed: Uint8Array, at: number): Buffer {
  const bytes = Buffer.from(sealed);
  bytes[at]! ^= 1;
  createHash("sha256").update(bytes.subarray(9)).digest().copy(bytes, 1, 0, 8);
  return bytes;
}

describeWith("aws", "kms sealer on moto", () => {
  let client: KMSClient;
  beforeAll(async () => {
    client = new KMSClient({ ...clientDefaults("kms"), ...(await labSettings("aws")) });
  });
  afterAll(() => client.destroy());

  const make = async (): Promise<Sealer> => {
    const [seal, mac] = await Promise.all([
      client.send(new CreateKeyCommand({ KeySpec: "SYMMETRIC_DEFAULT" })),
      client.send(new CreateKeyCommand({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })),
    ]);
    return createKmsSealer({ keyId: seal.KeyMetadata!.KeyId!, macKeyId: mac.KeyMetadata!.KeyId!, client });
  };

  sealerContract("kms", make);

  describe("its envelope", () => {
    let sealer: Sealer;
    let faults: AwsFaults;
    beforeEach(async () => {
      sealer = await make();
      faults = injectFaults(client);
      return () => faults.remove();
    });

    it("is refused by its tag or by KMS when it was altered and its checksum mended", async () => {
      const sealed = await sealer.seal(Buffer.from("hunter2"), CONTEXT);
      const wrapped = Buffer.from(sealed).readUInt16BE(9);
      // The last byte of the wrapped key, the nonce, the text, the tag.
      const places = [11 + wrapped - 1, 11 + wrapped, 11 + wrapped + 12, sealed.length - 1];
      for (const at of places)
        await expect(sealer.open(altered(sealed, at), CONTEXT), `${at}`).rejects.toMatchObject(refused);
      expect(Buffer.from(await sealer.open(sealed, CONTEXT)).toString()).toBe("hunter2");
    });

    it("asks KMS for nothing when it is plainly damaged", async () => {
      const sealed = Buffer.from(await sealer.seal(Buffer.from("x"), CONTEXT));
      faults.strike({ fault: "error", nth: 1_000 });
      sealed[sealed.length - 1]! ^= 1;
      await expect(sealer.open(sealed, CONTEXT)).rejects.toMatchObject(refused);
      expect(faults.calls()).toEqual([]);
    });

    it("has a data key of its own, and asks for one key a seal", async () => {
      faults.strike({ fault: "error", nth: 1_000 });
      const [one, two] = await Promise.all(["a", "a"].map((text) => sealer.seal(Buffer.from(text), CONTEXT)));
      expect(faults.calls().map(({ command }) => command)).toEqual([
        "GenerateDataKeyCommand",
        "GenerateDataKeyCommand",
      ]);
      const wrappedOf = (sealed: Uint8Array) =>
        Buffer.from(sealed).subarray(11, 11 + Buffer.from(sealed).readUInt16BE(9));
      expect(wrappedOf(one!).equals(wrappedOf(two!))).toBe(false);
    });

    it.each(["before", "after", "throttled", "error", "slow"] as const)(
      "is made and opened though a call fails: %s",
      async (fault) => {
        faults.strike({ fault });
        const sealed = await sealer.seal(Buffer.from("x"), CONTEXT);
        faults.strike({ fault });
        expect(Buffer.from(await sealer.open(sealed, CONTEXT)).toString()).toBe("x");
        expect(faults.calls()).toHaveLength(2);
      },
    );

    it("is not told to be altered when KMS cannot be asked", async () => {
      const sealed = await sealer.seal(Buffer.from("x"), CONTEXT);
      faults.strike({ fault: "throttled", times: 100 });
      const unavailable = { code: "UNAVAILABLE", providerCode: "ThrottlingException" };
      await expect(sealer.open(sealed, CONTEXT)).rejects.toMatchObject(unavailable);
      await expect(sealer.digest(sealed, CONTEXT)).rejects.toMatchObject(unavailable);
    });
  });

  it("tells a right that is missing as what may come back, and not as bytes that were altered", async () => {
    const sealed = await (await make()).seal(Buffer.from("hunter2"), CONTEXT);
    const denial = Object.assign(new Error("hunter2"), {
      name: "AccessDeniedException",
      $metadata: { httpStatusCode: 400 },
    });
    const denied = { send: () => Promise.reject(denial) } as unknown as KMSClient;
    const sealer = createKmsSealer({ keyId: "x", macKeyId: "x", client: denied });
    const thrown = await sealer.open(sealed, CONTEXT).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: "UNAVAILABLE", providerCode: "AccessDeniedException" });
    expect(String(thrown)).not.toContain("hunter2");
    await expect(sealer.seal(Buffer.from("x"), CONTEXT)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("says which right or key it lacks, and that nobody else is to blame", async () => {
    const sealer = createKmsSealer({ keyId: "alias/none", macKeyId: "alias/none", client });
    await expect(sealer.seal(Buffer.from("x"), CONTEXT)).rejects.toMatchObject({
      code: "INTERNAL",
      providerCode: "NotFoundException",
    });
  });
});

import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { Sealer } from "../../engine/ports/sealer.ts";

const CONTEXT = "job_01JZZZZZZZZZZZZZZZZZZZZZZZ";

/** What every sealer must do. `make` gives a sealer with a key of its own at every call. */
export function sealerContract(name: string, make: () => Promise<Sealer>): void {
  describe(`sealer contract: ${name}`, () => {
    let sealer: Sealer;
    beforeEach(async () => {
      sealer = await make();
    });
    const refused = { name: "LongshoreError", code: "UNKNOWN" };
    const plain = Buffer.from('{"env":{"DB_PASSWORD":"hunter2"}}');

    it.each([0, 1, 15, 16, 17, 1024 * 1024])("opens %d bytes as they were sealed", async (size) => {
      const bytes = randomBytes(size);
      const opened = await sealer.open(await sealer.seal(bytes, CONTEXT), CONTEXT);
      expect(Buffer.from(opened).equals(bytes)).toBe(true);
    });

    it("opens what lies in the middle of a larger buffer", async () => {
      const sealed = await sealer.seal(plain, CONTEXT);
      const larger = new Uint8Array(sealed.length + 20);
      larger.set(sealed, 7);
      expect(Buffer.from(await sealer.open(larger.subarray(7, 7 + sealed.length), CONTEXT))).toEqual(plain);
    });

    it("neither shows the plain text nor seals twice alike", async () => {
      const first = Buffer.from(await sealer.seal(plain, CONTEXT));
      const second = Buffer.from(await sealer.seal(plain, CONTEXT));
      expect(first.equals(second)).toBe(false);
      expect(first.includes("hunter2")).toBe(false);
      // Nothing of a keystream is used twice: the differences of two seals are no run of zeros behind the header.
      const same = first.filter((byte, at) => byte === second[at]).length;
      expect(same).toBeLessThan(first.length / 2);
    });

    it("refuses every single flipped bit", async () => {
      const sealed = Buffer.from(await sealer.seal(plain, CONTEXT));
      for (let bit = 0; bit < sealed.length * 8; bit += 1) {
        const altered = Buffer.from(sealed);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        await expect(sealer.open(altered, CONTEXT), `bit ${bit}`).rejects.toMatchObject(refused);
      }
    });

    it("refuses every cut and every addition", async () => {
      const sealed = Buffer.from(await sealer.seal(plain, CONTEXT));
      for (let length = 0; length < sealed.length; length += 1) {
        await expect(sealer.open(sealed.subarray(0, length), CONTEXT), `${length}`).rejects.toMatchObject(refused);
        await expect(sealer.open(sealed.subarray(length + 1), CONTEXT)).rejects.toMatchObject(refused);
      }
      await expect(sealer.open(Buffer.concat([sealed, Buffer.of(0)]), CONTEXT)).rejects.toMatchObject(refused);
    });

    it.each(["", "job_01JZZZZZZZZZZZZZZZZZZZZZZY", `${CONTEXT} `, CONTEXT.toLowerCase()])(
      "refuses the context %j",
      async (context) => {
        const sealed = await sealer.seal(plain, CONTEXT);
        await expect(sealer.open(sealed, context)).rejects.toMatchObject(refused);
      },
    );

    it("refuses what another key sealed, and garbage", async () => {
      const other = await make();
      await expect(sealer.open(await other.seal(plain, CONTEXT), CONTEXT)).rejects.toMatchObject(refused);
      await expect(sealer.open(randomBytes(200), CONTEXT)).rejects.toMatchObject(refused);
    });

    it("says nothing of the plain text in a refusal", async () => {
      const sealed = Buffer.from(await sealer.seal(plain, CONTEXT));
      sealed[sealed.length - 1]! ^= 1;
      const error: unknown = await sealer.open(sealed, CONTEXT).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject(refused);
      expect(String((error as Error).stack)).not.toContain("hunter2");
    });

    it("digests alike what is alike under one key, and nothing else", async () => {
      const other = await make();
      const digest = await sealer.digest(plain, CONTEXT);
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      expect(await sealer.digest(Buffer.from(plain), CONTEXT)).toBe(digest);
      const different = await Promise.all([
        sealer.digest(plain.subarray(1), CONTEXT),
        sealer.digest(plain, "other"),
        other.digest(plain, CONTEXT),
        sealer.digest(Buffer.from("bc"), "a"),
        sealer.digest(Buffer.from("c"), "ab"),
        sealer.digest(Buffer.alloc(0), "abc"),
      ]);
      expect(new Set([digest, ...different]).size).toBe(7);
    });
  });
}

import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createKeyfileSealer } from "../../../adapters/sealer/keyfile.ts";
import { sealerContract } from "../../contracts/sealer.ts";

let shared: string;
let made = 0;
beforeAll(async () => {
  shared = await mkdtemp(join(tmpdir(), "longshore-sealer-"));
});
afterAll(async () => {
  await rm(shared, { recursive: true });
});

sealerContract("keyfile", () => {
  made += 1;
  return createKeyfileSealer({ file: join(shared, `${made}.key`) });
});

describe("the key file", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-key-"));
    file = join(directory, "seal.key");
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("is made once, for its owner only, and nothing else is left beside it", async () => {
    const first = await createKeyfileSealer({ file });
    const bytes = await readFile(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["seal.key"]);
    const second = await createKeyfileSealer({ file });
    expect(await readFile(file)).toEqual(bytes);
    const sealed = await first.seal(Buffer.from("x"), "c");
    expect(Buffer.from(await second.open(sealed, "c")).toString()).toBe("x");
  });

  it("is the same for all who race to make it, in one process and in several", async () => {
    const sealers = await Promise.all(Array.from({ length: 16 }, () => createKeyfileSealer({ file })));
    const digests = await Promise.all(sealers.map((sealer) => sealer.digest(Buffer.from("text"), "context")));
    expect(new Set(digests).size).toBe(1);
    const fresh = join(directory, "fresh.key");
    const script = join(import.meta.dirname, "make-sealer.ts");
    const lines = await Promise.all([1, 2, 3].map(() => execa(process.execPath, [script, fresh])));
    expect(new Set(lines.map(({ stdout }) => stdout)).size).toBe(1);
    expect(lines[0]!.stdout).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([0o640, 0o604, 0o620, 0o610, 0o666])("is refused with mode %o", async (mode) => {
    await createKeyfileSealer({ file });
    await chmod(file, mode);
    await expect(createKeyfileSealer({ file })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("group or others"),
    });
  });

  it("is refused when it is cut, empty, longer or something else, and is left as it is", async () => {
    await createKeyfileSealer({ file });
    const key = await readFile(file, "utf8");
    const bad = [
      "",
      key.slice(0, -1),
      key.slice(1),
      `${key}x`,
      `${key}${key}`,
      key.replace("v1", "v2"),
      "\0".repeat(61),
    ];
    for (const content of bad) {
      await writeFile(file, content);
      const error: unknown = await createKeyfileSealer({ file }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringContaining("truncated or no Longshore"),
      });
      expect(String(error)).not.toContain(key.slice(20, 40));
      expect(await readFile(file, "utf8")).toBe(content);
    }
    for (const length of [0, 10, 40]) {
      await writeFile(file, key);
      await truncate(file, length);
      await expect(createKeyfileSealer({ file })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });

  it("is refused when it is no file, or its directory is missing", async () => {
    await expect(createKeyfileSealer({ file: directory })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(createKeyfileSealer({ file: join(directory, "none", "key") })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("ENOENT"),
    });
    const dangling = join(directory, "dangling");
    await symlink(join(directory, "nowhere"), dangling);
    await expect(createKeyfileSealer({ file: dangling })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});

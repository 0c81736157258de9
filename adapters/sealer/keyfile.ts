import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { constants } from "node:fs";
import { link, open, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LongshoreError } from "../../engine/errors.ts";
import type { Sealer } from "../../engine/ports/sealer.ts";

const FORMAT = 1;
const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
// NIST SP 800-38D: random 96-bit nonces are safe for 2^32 messages under one key.
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;

const KEY_LINE = /^longshore-key-v1:([A-Za-z0-9_-]{43})\n$/;

function unusable(file: string, why: string, cause?: unknown): LongshoreError {
  return new LongshoreError("UNAVAILABLE", `key file ${file} ${why}`, { cause });
}

function errno(thrown: unknown): string | null {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : null;
}

/** Makes the key file unless there is one. A link never replaces: of two processes one wins, and both read its key. */
async function ensureKeyFile(file: string): Promise<void> {
  const draft = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(`longshore-key-v1:${randomBytes(KEY_BYTES).toString("base64url")}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(draft, file);
  } catch (thrown) {
    if (errno(thrown) !== "EEXIST") throw unusable(file, `cannot be made: ${errno(thrown) ?? "unknown"}`, thrown);
  } finally {
    await rm(draft, { force: true });
  }
  // What is sealed under a key that a power cut took away could never be opened again.
  const directory = await open(dirname(file), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readKeyFile(file: string): Promise<Buffer | undefined> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((thrown: unknown) => {
    if (errno(thrown) === "ENOENT") return undefined;
    throw unusable(file, `cannot be read: ${errno(thrown) ?? "unknown"}`, thrown);
  });
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw unusable(file, "is no regular file");
    if ((stats.mode & 0o077) !== 0) {
      throw unusable(file, `can be used by group or others (mode ${(stats.mode & 0o777).toString(8)}); make it 600`);
    }
    const [, encoded] = KEY_LINE.exec(await handle.readFile("latin1")) ?? [];
    if (encoded === undefined) throw unusable(file, "is truncated or no Longshore key");
    return Buffer.from(encoded, "base64url");
  } finally {
    await handle.close();
  }
}

/**
 * Seals with AES-256-GCM under keys derived from one master key in a file of mode 0600, which is made when it is missing.
 * A sealed text is: format version (1 byte), key id (8), nonce (12), ciphertext, tag (16).
 * @throws LongshoreError UNAVAILABLE when the file cannot be used, group or others have a right to it, or it is no key.
 */
export async function createKeyfileSealer(options: { file: string }): Promise<Sealer> {
  const { file } = options;
  let master = await readKeyFile(file);
  if (master === undefined) {
    await ensureKeyFile(file);
    master = await readKeyFile(file);
  }
  if (master === undefined) throw unusable(file, "vanished");
  const derive = (purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync("sha256", master, "", `longshore/v1/${purpose}`, bytes));
  // Prepared once: a cipher would make a key of bytes anew each time, which takes longer than to seal a spec.
  const sealKey = createSecretKey(derive("seal", KEY_BYTES));
  const digestKey = derive("digest", KEY_BYTES);
  const header = Buffer.concat([Buffer.of(FORMAT), derive("key-id", KEY_ID_BYTES)]);
  // The header has a fixed length, so header and context cannot be told apart in two ways.
  const boundTo = (context: string): Buffer => Buffer.concat([header, Buffer.from(context)]);

  return {
    async seal(plain, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealKey, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(boundTo(context));
      return Buffer.concat([header, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    async open(sealed, context) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES)
        throw new LongshoreError("UNKNOWN", "sealed bytes were cut");
      if (bytes[0] !== FORMAT) throw new LongshoreError("UNKNOWN", "sealed bytes have an unknown format");
      if (!bytes.subarray(0, HEADER_BYTES).equals(header)) {
        throw new LongshoreError("UNKNOWN", "sealed bytes belong to another key");
      }
      const body = bytes.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES);
      const nonce = bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", sealKey, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(boundTo(context));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(body), decipher.final()]);
      } catch (cause) {
        throw new LongshoreError("UNKNOWN", "sealed bytes were altered or sealed for another context", { cause });
      }
    },
    async digest(data, context) {
      const bound = Buffer.from(context);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bound.length);
      return createHmac("sha256", digestKey).update(length).update(bound).update(data).digest("hex");
    },
  };
}

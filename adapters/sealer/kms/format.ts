import { createHash } from "node:crypto";
import { LongshoreError } from "../../../engine/errors.ts";

/** What the sealed bytes are: the text itself, or the text deflated. */
const PLAIN = 1;
const DEFLATED = 2;
const SUM_BYTES = 8;
const LENGTH_BYTES = 2;
const HEAD_BYTES = 1 + SUM_BYTES + LENGTH_BYTES;
// NIST SP 800-38D: a random 96-bit nonce; the key is used once, so that it can never be used twice with one.
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/** What a sealed text is made of. */
export interface Envelope {
  /** The text was deflated before it was encrypted. */
  deflated: boolean;
  /** The data key, encrypted by KMS. */
  wrapped: Uint8Array;
  nonce: Uint8Array;
  ciphertext: Uint8Array;
  tag: Uint8Array;
}

/**
 * A sealed text: format version (1 byte), checksum (8), length of the wrapped key (2), wrapped key, nonce (12),
 * ciphertext, tag (16). The checksum is of all that follows; it is no protection, the tag is: it lets what was cut or
 * damaged be refused without asking KMS.
 */
export function pack({ deflated, wrapped, nonce, ciphertext, tag }: Envelope): Uint8Array {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(wrapped.length);
  const rest = Buffer.concat([length, wrapped, nonce, ciphertext, tag]);
  return Buffer.concat([Buffer.of(deflated ? DEFLATED : PLAIN), checksum(rest), rest]);
}

/** The parts of a sealed text. @throws LongshoreError UNKNOWN when it was altered, cut, or is none. */
export function unpack(sealed: Uint8Array): Envelope {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < HEAD_BYTES + NONCE_BYTES + TAG_BYTES) throw refused("were cut");
  if (bytes[0] !== PLAIN && bytes[0] !== DEFLATED) throw refused("have an unknown format");
  if (!checksum(bytes.subarray(1 + SUM_BYTES)).equals(bytes.subarray(1, 1 + SUM_BYTES))) throw refused("were altered");
  const nonceAt = HEAD_BYTES + bytes.readUInt16BE(1 + SUM_BYTES);
  const tagAt = bytes.length - TAG_BYTES;
  if (nonceAt + NONCE_BYTES > tagAt) throw refused("were altered");
  return {
    deflated: bytes[0] === DEFLATED,
    wrapped: bytes.subarray(HEAD_BYTES, nonceAt),
    nonce: bytes.subarray(nonceAt, nonceAt + NONCE_BYTES),
    ciphertext: bytes.subarray(nonceAt + NONCE_BYTES, tagAt),
    tag: bytes.subarray(tagAt),
  };
}

/** Why sealed bytes are not opened; the original failure, if any, as the cause. */
export function refused(why: string, cause?: unknown): LongshoreError {
  return new LongshoreError("UNKNOWN", `sealed bytes ${why}`, { cause });
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest().subarray(0, SUM_BYTES);
}

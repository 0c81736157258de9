import { Buffer } from "node:buffer";
import { LongshoreError } from "../../../engine/errors.ts";

/** Reads a source in pieces of the reader's choice; one call at a time. */
export interface ByteReader {
  /** @throws LongshoreError UNKNOWN (as all of these) when the source ends before. */
  exactly(length: number): Promise<Buffer>;
  /** At least one byte, at most so many. */
  atMost(length: number): Promise<Buffer>;
  skip(length: number): Promise<void>;
  /** Lets go of the source. */
  end(): Promise<void>;
}

/** @param pass is told of every piece that has come; what it throws ends the reading. */
export function createByteReader(source: AsyncIterable<Uint8Array>, pass: (bytes: number) => void): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);

  async function fill(): Promise<void> {
    while (rest.length === 0) {
      const { done, value } = await iterator.next();
      if (done === true) {
        const message = "docker: what it gave is no whole archive: it ends early";
        throw new LongshoreError("UNKNOWN", message, { providerCode: "ARCHIVE" });
      }
      pass(value.length);
      rest = Buffer.from(value.buffer, value.byteOffset, value.length);
    }
  }

  async function atMost(length: number): Promise<Buffer> {
    if (length > 0) await fill();
    const piece = rest.subarray(0, length);
    rest = rest.subarray(piece.length);
    return piece;
  }

  return {
    atMost,
    async exactly(length) {
      const pieces: Buffer[] = [];
      for (let missing = length; missing > 0; ) {
        const piece = await atMost(missing);
        missing -= piece.length;
        pieces.push(piece);
      }
      return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    },
    async skip(length) {
      for (let left = length; left > 0; ) left -= (await atMost(left)).length;
    },
    async end() {
      await iterator.return?.(undefined);
    },
  };
}

import { LongshoreError } from "../../../engine/errors.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";

const HEADER_BYTES = 8;
/** The engine's own messages have 16 KiB; anything near this is no frame but garbage. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
/** The third is the engine's own: what kept it from reading its log. */
const STREAMS = [undefined, "stdout", "stderr", "system"] as const;

/** A message, as a place in bytes (`end` exclusive) that are its taker's only until it returns. */
export interface Message {
  stream: RuntimeLine["stream"];
  bytes: Buffer;
  start: number;
  end: number;
}

/**
 * Takes the engine's multiplexed log apart: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
 * Holds one frame at most. Bytes are copied only where a message was cut.
 */
export interface FrameReader {
  /** @throws LongshoreError UNKNOWN for bytes that are no frames; what the taker throws. */
  push(chunk: Uint8Array): void;
  /** @throws LongshoreError UNKNOWN when the bytes ended inside a message. */
  end(): void;
}

/** A reader for one log, from its beginning. */
export function createFrameReader(take: (message: Message) => void): FrameReader {
  let kept: Uint8Array[] = [];
  let size = 0;
  /** So many bytes hold the next frame, or tell how long it is. */
  let wanted = HEADER_BYTES;

  return {
    push(chunk) {
      kept.push(chunk);
      size += chunk.length;
      if (size < wanted) return;
      const bytes = kept.length === 1 ? viewOf(chunk) : Buffer.concat(kept, size);
      let at = 0;
      for (wanted = HEADER_BYTES; at + wanted <= size; wanted = HEADER_BYTES) {
        const stream = STREAMS[bytes[at] as number];
        const length = bytes.readUInt32BE(at + 4);
        const isPadded = bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3] === 0;
        if (stream === undefined || !isPadded || length > MAX_FRAME_BYTES) {
          throw garbage("the log is not in Docker's format");
        }
        wanted += length;
        if (at + wanted > size) break;
        take({ stream, bytes, start: at + HEADER_BYTES, end: at + wanted });
        at += wanted;
      }
      kept = at === size ? [] : [bytes.subarray(at)];
      size -= at;
    },
    end() {
      if (size > 0) throw garbage("the log was cut off inside a message");
    },
  };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The failure of a log whose bytes are none. */
export function garbage(message: string): LongshoreError {
  return new LongshoreError("UNKNOWN", message);
}

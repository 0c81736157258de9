import type { SseMessage } from "./sse.ts";

/** One message of a WebSocket. */
export interface Frame {
  text: string;
  /** The id of the last of the stream's messages that is whole with this frame; undefined when none of them has one. */
  id: number | undefined;
}

export interface FrameLimits {
  /** Several messages may share a frame, a line each: JSON has no raw newline. Default: each has its own. */
  isBatched?: boolean;
  /** A frame that holds several messages, or a part of one, has no more bytes. */
  maxBytes: number;
  /** A message that is longer comes in parts, as frames of the event `part`. Default: whole, however long. */
  inParts?: boolean;
}

/** What a part takes beside its text, bytes. */
const ENVELOPE_BYTES = 200;
/** A text is shortened by this factor until it fits: what has to be escaped is up to six times as long. */
const SHORTER = 0.7;

/**
 * The frames of some messages of a stream, in their order: `{ id, event, data }` as JSON. A part is
 * `{ event: "part", data: { part, of, text } }`; the texts of all parts together are the JSON of the message, and the last
 * one has its id.
 */
export function framesOf(messages: readonly SseMessage[], limits: FrameLimits): Frame[] {
  const frames: Frame[] = [];
  let open: { texts: string[]; bytes: number; id: number | undefined } | undefined;
  const flush = () => {
    if (open !== undefined) frames.push({ text: open.texts.join("\n"), id: open.id });
    open = undefined;
  };
  for (const { id, event, data } of messages) {
    const text = JSON.stringify({ id, event, data });
    const bytes = Buffer.byteLength(text) + 1;
    const isLarge = bytes > limits.maxBytes;
    if (open !== undefined && open.bytes + bytes > limits.maxBytes) flush();
    if (isLarge && limits.inParts === true) frames.push(...partsOf(text, id, limits.maxBytes));
    else if (limits.isBatched !== true || isLarge) frames.push({ text, id });
    else {
      open ??= { texts: [], bytes: 0, id: undefined };
      open.texts.push(text);
      open.bytes += bytes;
      open.id = id ?? open.id;
    }
  }
  flush();
  return frames;
}

function partsOf(whole: string, id: number | undefined, maxBytes: number): Frame[] {
  const most = maxBytes - ENVELOPE_BYTES;
  const texts: string[] = [];
  for (let from = 0; from < whole.length; ) {
    let text = whole.slice(from, from + most);
    // A character that is cut in two is escaped, and whole again when the parts are joined.
    while (Buffer.byteLength(JSON.stringify(text)) > most) text = text.slice(0, Math.ceil(text.length * SHORTER) - 1);
    texts.push(text);
    from += text.length;
  }
  return texts.map((text, index) => {
    const data = { part: index + 1, of: texts.length, text };
    const ofWhole = index === texts.length - 1 ? id : undefined;
    return { text: JSON.stringify({ id: ofWhole, event: "part", data }), id: ofWhole };
  });
}

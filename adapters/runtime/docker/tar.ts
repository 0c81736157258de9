import type { Buffer } from "node:buffer";
import { LongshoreError } from "../../../engine/errors.ts";
import { createByteReader } from "./byte-reader.ts";

/** What an archive holds. `size` and `body` are those of a file; everything else has none. */
export interface TarEntry {
  name: string;
  kind: "file" | "directory" | "symlink" | "hard_link" | "special";
  size: number;
  /** Where a link leads. */
  target: string;
  /** The bytes, as they are read; of what is not read they are passed over by the next entry. */
  body: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
/** A header that tells of the next one: names are at most 4 KiB, but extended attributes come with them. */
const MAX_META_BYTES = 1024 * 1024;
const KINDS: Readonly<Record<string, TarEntry["kind"]>> = {
  "0": "file",
  "\0": "file",
  "1": "hard_link",
  "2": "symlink",
  "3": "special",
  "4": "special",
  "5": "directory",
  "6": "special",
  "7": "file",
};

/** What headers of their own say of the entry that follows. */
interface Meta {
  path?: string;
  linkpath?: string;
  size?: string;
}

/**
 * The entries of a tar (POSIX ustar and pax, GNU's long names), one after the other as the bytes come: a reader that is
 * slow holds the source back. Not by `tar-stream`, which takes an archive that is cut behind a file for a whole one, and
 * names out of broken headers (docs/adr/0022).
 * @param pass is told of bytes that have passed through; what it throws ends the reading.
 * @throws LongshoreError UNKNOWN for what is no whole archive; what the source throws, as it is.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  pass: (bytes: number) => void,
): AsyncGenerator<TarEntry, void, undefined> {
  const bytes = createByteReader(source, pass);
  let always: Meta = {};
  let once: Meta = {};
  try {
    for (;;) {
      const block = await bytes.exactly(BLOCK);
      if (block.every((byte) => byte === 0)) return;
      const header = headerOf(block);
      const type = header.type;
      if ("xgLK".includes(type)) {
        if (header.size > MAX_META_BYTES) throw damaged("a header is too long");
        const text = await bytes.exactly(header.size);
        await bytes.skip(padding(header.size));
        if (type === "g") always = { ...always, ...records(text) };
        else if (type === "x") once = { ...once, ...records(text) };
        else once = { ...once, [type === "L" ? "path" : "linkpath"]: untilNul(text) };
        continue;
      }
      const meta = { ...always, ...once };
      once = {};
      const size = meta.size === undefined ? header.size : wholeNumber(meta.size, 10);
      // Links and devices have no content, whatever their header says of a size; a directory's is for its own use.
      const kind = KINDS[type] ?? "special";
      const isFile = kind === "file" && !header.name.endsWith("/");
      const content = isFile || !(type in KINDS) ? size : 0;
      let left = content;
      async function* body(): AsyncGenerator<Uint8Array> {
        while (left > 0) {
          const chunk = await bytes.atMost(left);
          left -= chunk.length;
          yield chunk;
        }
      }
      yield {
        name: meta.path ?? header.name,
        kind: kind === "file" && !isFile ? "directory" : kind,
        size: isFile ? size : 0,
        target: meta.linkpath ?? header.target,
        body: body(),
      };
      await bytes.skip(left + padding(content));
      left = 0;
    }
  } finally {
    await bytes.end();
  }
}

interface Header {
  name: string;
  size: number;
  type: string;
  target: string;
}

/** https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 */
function headerOf(block: Buffer): Header {
  const expected = numberAt(block, 148, 8);
  const summed = block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (summed !== expected) throw damaged("a header has another sum than it says");
  const name = untilNul(block.subarray(0, 100));
  const isPosix = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? untilNul(block.subarray(345, 500)) : "";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: numberAt(block, 124, 12),
    type: block.toString("latin1", 156, 157),
    target: untilNul(block.subarray(157, 257)),
  };
}

/** A number in octal digits, or, where the first bit is set, in binary: both as whole numbers that are not negative. */
function numberAt(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) === 0) {
    const digits = untilNul(field).trim();
    return digits === "" ? 0 : wholeNumber(digits, 8);
  }
  const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, (field[0] ?? 0) & 0x7f);
  if (!Number.isSafeInteger(value)) throw damaged("a size is none");
  return value;
}

function wholeNumber(digits: string, base: 8 | 10): number {
  const value = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(digits) ? Number.parseInt(digits, base) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw damaged("a size is none");
  return value;
}

/** The records of a pax header that mean something here: `LENGTH KEY=VALUE\n`, the length that of the whole record. */
function records(text: Buffer): Meta {
  const meta: Meta = {};
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(text.toString("latin1", at, space));
    const end = at + length;
    const equals = text.indexOf(0x3d, space);
    const isWhole = Number.isSafeInteger(length) && end > equals && end <= text.length && text[end - 1] === 0x0a;
    if (!isWhole || equals < 0) throw damaged("a record of a header is none");
    const key = text.toString("utf8", space + 1, equals);
    if (key === "path" || key === "linkpath" || key === "size") meta[key] = text.toString("utf8", equals + 1, end - 1);
    at = end;
  }
  return meta;
}

function untilNul(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function damaged(what: string): LongshoreError {
  return new LongshoreError("UNKNOWN", `docker: what it gave is no whole archive: ${what}`, {
    providerCode: "ARCHIVE",
  });
}

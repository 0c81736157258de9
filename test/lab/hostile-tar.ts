/** Numbers from a seed: mulberry32. */
export function seeded(seed: number): { next(): number; pick<T>(from: readonly T[]): T; below(bound: number): number } {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return { next, below, pick: (from) => from[below(from.length)]! };
}

export interface RawEntry {
  name: string | Buffer;
  type?: string;
  /** What the header says; default: the content's. */
  size?: number | string | Buffer;
  content?: Buffer;
  link?: string;
  /** A header of its own before it. */
  pax?: Buffer;
  longName?: Buffer;
  /** The header's sum is wrong. */
  badSum?: boolean;
  prefix?: string;
}

const BLOCK = 512;

/** One entry, byte by byte as it is said, whatever a reader makes of it. */
export function rawEntry(entry: RawEntry): Buffer {
  const { content = Buffer.alloc(0), type = "0" } = entry;
  const meta = [
    ...(entry.pax === undefined ? [] : [rawEntry({ name: "PaxHeader", type: "x", content: entry.pax })]),
    ...(entry.longName === undefined ? [] : [rawEntry({ name: "././@LongLink", type: "L", content: entry.longName })]),
  ];
  const header = Buffer.alloc(BLOCK);
  Buffer.from(entry.name).copy(header, 0, 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  const size = entry.size ?? content.length;
  if (typeof size === "number") header.write(`${size.toString(8).padStart(11, "0").slice(-11)}\0`, 124);
  else Buffer.from(size).copy(header, 124, 0, 12);
  header.write("00000000000\0", 136);
  header.write(type, 156, "latin1");
  Buffer.from(entry.link ?? "").copy(header, 157, 0, 100);
  header.write("ustar\0", 257, "latin1");
  header.write("00", 263);
  if (entry.prefix !== undefined) Buffer.from(entry.prefix).copy(header, 345, 0, 155);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (entry.badSum === true ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
  return Buffer.concat([...meta, header, content, padding]);
}

export const END = Buffer.alloc(2 * BLOCK);

/** A record of a pax header with its right length. */
export function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length) {
    length = String(length).length + Buffer.byteLength(rest);
  }
  return Buffer.from(`${length}${rest}`);
}

/** A buffer in pieces of random sizes, as a network gives them. */
export async function* inPieces(bytes: Buffer, random = seeded(1)): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(random.pick([3, 600, 70_000]));
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

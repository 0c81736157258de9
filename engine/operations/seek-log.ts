import type { Objects } from "../ports/objects.ts";

/** So much of an object is rather read than asked for in parts. */
const NEAR_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
/** How a stored line begins. */
const BEGINNING = /^\{"seq":(\d{1,15}),/;
const BEGINNING_BYTES = 32;

/**
 * Where to begin to read a stored log for its lines with a seq above `after`: at a line that is not behind the first of
 * them, and not far before it. A page of a long log would else cost as much as all of it.
 * @param size of the object, bytes.
 */
export async function seekLine(
  objects: Objects,
  { key, size }: { key: string; size: number },
  after: number,
): Promise<number> {
  let least = 0;
  let most = size;
  while (most - least > NEAR_BYTES) {
    const middle = Math.floor((least + most) / 2);
    const found = await lineBehind(objects, key, { start: middle, end: most });
    if (found === undefined || found.seq > after) most = middle;
    else least = found.at;
  }
  return least;
}

/** The first line that begins behind a place and before another, damaged ones aside. */
async function lineBehind(
  objects: Objects,
  key: string,
  { start, end }: { start: number; end: number },
): Promise<{ at: number; seq: number } | undefined> {
  const object = await objects.get(key, { start, end: end - 1 });
  if (object === undefined) return undefined;
  let rest = Buffer.alloc(0);
  let place = start;
  for await (const chunk of object.body) {
    const bytes = Buffer.concat([rest, chunk]);
    let kept = bytes.length;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
      const seq = BEGINNING.exec(bytes.toString("latin1", at + 1, at + 1 + BEGINNING_BYTES))?.[1];
      if (seq !== undefined) return { at: place + at + 1, seq: Number(seq) };
      // The beginning may go on in the next chunk.
      if (at + 1 + BEGINNING_BYTES > bytes.length) kept = Math.min(kept, at);
    }
    rest = bytes.subarray(kept);
    place += kept;
  }
  return undefined;
}

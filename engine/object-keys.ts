import { LongshoreError } from "./errors.ts";

/** S3's bound for a key; a segment must also fit a file name of 255 bytes together with a mark. */
const MAX_KEY_BYTES = 1024;
const MAX_SEGMENT_BYTES = 250;

const SEGMENT = /^[A-Za-z0-9._=-]+$/;
const PARTIAL = /^[A-Za-z0-9._=-]*$/;

export function isSegment(segment: string): boolean {
  return SEGMENT.test(segment) && segment !== "." && segment !== ".." && segment.length <= MAX_SEGMENT_BYTES;
}

/** The segments of an object's key. @throws LongshoreError VALIDATION for a key that is none. */
export function checkObjectKey(key: string): string[] {
  const segments = key.split("/");
  if (key.length <= MAX_KEY_BYTES && segments.every(isSegment)) return segments;
  throw new LongshoreError("VALIDATION", "an object's key must be segments of A-Z a-z 0-9 . _ = - between slashes");
}

/** The whole segments of the beginning of a key. @throws LongshoreError VALIDATION for what begins no key. */
export function checkObjectPrefix(prefix: string): string[] {
  const segments = prefix.split("/");
  const last = segments.pop() ?? "";
  if (segments.every(isSegment) && PARTIAL.test(last) && prefix.length <= MAX_KEY_BYTES) return segments;
  throw new LongshoreError("VALIDATION", "a prefix must be the beginning of an object's key");
}

/** The bytes that a range asks for, open at its end. @throws LongshoreError VALIDATION unless 0 <= start <= end. */
export function checkRange(range: { start: number; end?: number } | undefined): { start: number; end: number } {
  const start = range?.start ?? 0;
  const end = range?.end ?? Number.MAX_SAFE_INTEGER;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return { start, end };
  throw new LongshoreError("VALIDATION", "a range must be whole numbers with 0 <= start <= end");
}

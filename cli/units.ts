import ms, { type StringValue } from "ms";
import { UsageError } from "./context.ts";

/** A span such as `10m`, `1.5h` or `90s` in milliseconds; undefined when the text is none. */
function spanMs(text: string): number | undefined {
  if (!/^\d+(\.\d+)? ?[a-z]+$/i.test(text)) return undefined;
  const span = ms(text as StringValue);
  return Number.isFinite(span) ? span : undefined;
}

/** `--timeout`: whole seconds from a span or from a plain number of seconds. @throws UsageError */
export function timeoutSeconds(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : (spanMs(text) ?? Number.NaN) / 1000;
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    throw new UsageError(`--timeout ${JSON.stringify(text)} is no whole number of seconds such as 90s, 10m or 2h`);
  }
  return seconds;
}

const MIB_PER_UNIT: Record<string, number> = { MiB: 1, Mi: 1, m: 1, GiB: 1024, Gi: 1024, g: 1024 };

/** `--memory`: whole MiB from `256MiB`, `1.5GiB`, or with Docker's `m` and `g`. @throws UsageError */
export function memoryMiB(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text) ?? [];
  const mebibytes = Number(number) * (Object.hasOwn(MIB_PER_UNIT, unit) ? (MIB_PER_UNIT[unit] ?? 0) : 0);
  if (!Number.isSafeInteger(mebibytes) || mebibytes < 1) {
    throw new UsageError(`--memory ${JSON.stringify(text)} is no whole number of MiB such as 256MiB or 2GiB`);
  }
  return mebibytes;
}

/** A decimal number above 0. @throws UsageError that names the flag. */
export function positiveNumber(flag: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new UsageError(`${flag} ${JSON.stringify(text)} is no number above 0`);
  return value;
}

/** A whole number inside the bounds. @throws UsageError that names the flag. */
export function wholeNumber(flag: string, text: string, [min, max]: readonly [number, number]): number {
  const value = /^\d+$/.test(text) ? Number(text) : -1;
  if (value < min || value > max) {
    throw new UsageError(`${flag} ${JSON.stringify(text)} is no whole number from ${min} to ${max}`);
  }
  return value;
}

/** A moment: RFC 3339, or a span before `nowMs`; as RFC 3339. @throws UsageError that names the flag. */
export function moment(flag: string, text: string, nowMs: number): string {
  const span = spanMs(text);
  const at = span === undefined ? (/^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN) : nowMs - span;
  if (Number.isNaN(at)) {
    throw new UsageError(
      `${flag} ${JSON.stringify(text)} is neither a time such as 2026-01-31T12:00:00Z nor a span such as 2h`,
    );
  }
  return new Date(at).toISOString();
}

/** `K=V` as a pair. @throws UsageError that names the flag and, as the value may be secret, the key only. */
export function pair(flag: string, text: string, shape = "K=V"): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(at < 0 ? `${flag} needs ${shape}` : `${flag} needs a name before the =`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The parts of a flag that may be repeated and may hold several values separated by commas. */
export function commaSeparated(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(",")).filter((value) => value !== "");
}

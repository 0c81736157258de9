import { describe, expect, it } from "vitest";
import { UsageError } from "../../cli/context.ts";
import {
  commaSeparated,
  memoryMiB,
  moment,
  pair,
  positiveNumber,
  timeoutSeconds,
  wholeNumber,
} from "../../cli/units.ts";

const NOW = Date.parse("2026-03-01T12:00:00.000Z");

describe("what a flag says", () => {
  it.each([
    ["90", 90],
    ["90s", 90],
    ["10m", 600],
    ["1.5h", 5400],
    ["2 days", 172_800],
    ["1000ms", 1],
  ])("--timeout %s is %d s", (text, seconds) => expect(timeoutSeconds(text)).toBe(seconds));

  it.each(["", "0", "0s", "-1", "-5m", "500ms", "1.5", "1.0005s", "ten", "10x", "1e3", "10m5s", "9".repeat(20)])(
    "--timeout %j is refused",
    (text) => expect(() => timeoutSeconds(text)).toThrow(UsageError),
  );

  it.each([
    ["256MiB", 256],
    ["512m", 512],
    ["1g", 1024],
    ["1.5GiB", 1536],
    ["2Gi", 2048],
    ["64Mi", 64],
  ])("--memory %s is %d MiB", (text, mebibytes) => expect(memoryMiB(text)).toBe(mebibytes));

  it.each(["", "256", "256MB", "256KiB", "0.5MiB", "1.3MiB", "0m", "-1g", "m", "1constructor", "1__proto__"])(
    "--memory %j is refused",
    (text) => expect(() => memoryMiB(text)).toThrow(UsageError),
  );

  it.each(["", "0", "-1", "1.", ".5", "1e9", "NaN", "Infinity", "0x1"])("--cpu %j is refused", (text) => {
    expect(() => positiveNumber("--cpu", text)).toThrow(/^--cpu/);
  });

  it.each(["", "-1", "1.5", "11", "x"])("--retries %j is refused between 0 and 10", (text) => {
    expect(() => wholeNumber("--retries", text, [0, 10])).toThrow(/^--retries .*0 to 10/);
  });

  it.each([
    ["2h", "2026-03-01T10:00:00.000Z"],
    ["2026-02-28T00:00:00+01:00", "2026-02-27T23:00:00.000Z"],
    ["2026-02-28", "2026-02-28T00:00:00.000Z"],
  ])("a moment %s is %s", (text, time) => expect(moment("--since", text, NOW)).toBe(time));

  it.each(["", "yesterday", "12", "2026-13-45T00:00:00Z", "1 2"])("a moment %j is refused", (text) => {
    expect(() => moment("--since", text, NOW)).toThrow(/^--since/);
  });

  it("splits a pair at its first = and never repeats a value", () => {
    expect(pair("-e", "A=b=c")).toEqual(["A", "b=c"]);
    expect(pair("-e", "A=")).toEqual(["A", ""]);
    expect(() => pair("--secret", "=hunter2")).toThrow(/^(?!.*hunter2)--secret/);
    expect(() => pair("--label", "team")).toThrow("--label needs K=V");
  });

  it("takes lists with and without commas", () => expect(commaSeparated(["a,b", "c", ""])).toEqual(["a", "b", "c"]));
});

import { describe, expect, test } from "vitest";
import {
  asLongshoreError,
  CATEGORIES,
  ERRORS,
  isCategory,
  jobError,
  LongshoreError,
  PROTOCOL_CODES,
} from "../../engine/errors.ts";

/** The contract's own words: what each answer of the API has as its status. */
const HTTP = {
  NOT_FOUND: 404,
  CONFLICT: 409,
  QUEUE_FULL: 429,
  PAYLOAD_TOO_LARGE: 413,
  MALFORMED: 400,
  VALIDATION: 422,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  METHOD_NOT_ALLOWED: 405,
  UNSUPPORTED_MEDIA_TYPE: 415,
  UPGRADE_REQUIRED: 426,
  UNAVAILABLE: 503,
  INTERNAL: 500,
} as const;

describe("the error table", () => {
  test("has a row for every code and none besides", () => {
    expect(Object.keys(ERRORS).sort()).toEqual([...CATEGORIES, ...PROTOCOL_CODES].sort());
    expect(new Set(Object.keys(ERRORS)).size).toBe(21);
  });

  test.each(Object.entries(HTTP))("answers %s with %i", (code, http) => {
    expect(ERRORS[code as keyof typeof HTTP].http).toBe(http);
  });

  test.each(Object.entries(ERRORS))("gives %s an error status and a title", (_, { http, title }) => {
    expect(http).toBeGreaterThanOrEqual(400);
    expect(http).toBeLessThan(600);
    expect(title).toMatch(/^[A-Z].*[a-z]$/);
  });

  test("retries by default what may be better next time, which is what a spec retries by default", () => {
    const retryable = CATEGORIES.filter((category) => ERRORS[category].retryable);
    expect(retryable).toEqual(["AUTH", "RUNTIME_UNAVAILABLE", "IMAGE_PULL", "UNKNOWN"]);
  });

  test("tells categories from codes of the protocol", () => {
    expect(CATEGORIES.every(isCategory)).toBe(true);
    expect([...PROTOCOL_CODES, "toString", "", "oom"].some(isCategory)).toBe(false);
  });
});

describe("a job's error", () => {
  test.each(CATEGORIES)("of %s takes its retryability from the table", (category) => {
    expect(jobError(category, "why")).toEqual({
      category,
      message: "why",
      retryable: ERRORS[category].retryable,
      providerCode: null,
      exitCode: null,
    });
  });

  test("keeps an exit code of 0 and a provider's code", () => {
    expect(jobError("OOM", "why", { exitCode: 0, providerCode: "OOMKilled" })).toMatchObject({
      exitCode: 0,
      providerCode: "OOMKilled",
    });
  });
});

describe("regression: a long message of a job's error", () => {
  test.each([
    ["a", 512, 512],
    ["a", 513, 509],
    ["é", 256, 256],
    ["é", 257, 254],
    ["ⓔ", 171, 169],
    ["😀", 129, 127],
  ])("of %s × %i is cut behind %i of them", (character, times, kept) => {
    const { message } = jobError("UNKNOWN", character.repeat(times));
    expect(message).toBe(kept === times ? character.repeat(times) : `${character.repeat(kept)}…`);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(512);
  });

  test("is short, and so is the provider's code", () => {
    const error = jobError("UNKNOWN", "x".repeat(1_000_000), { providerCode: "9".repeat(1_000_000) });
    expect(Buffer.byteLength(JSON.stringify(error))).toBeLessThan(800);
  });
});

describe("what was thrown", () => {
  test("stays itself when it is one of ours", () => {
    const error = new LongshoreError("AUTH", "no", { providerCode: "401" });
    expect(asLongshoreError(error, "UNKNOWN")).toBe(error);
  });

  const UNFORESEEN = "an unforeseen error in Longshore; see its log";

  test.each([[new TypeError("odd")], ["odd"], [{ toString: (): string => "odd" }]])(
    "%o becomes one with its cause",
    (thrown) => {
      const error = asLongshoreError(thrown, "UNKNOWN");
      expect(error).toMatchObject({ name: "LongshoreError", code: "UNKNOWN", message: UNFORESEEN, providerCode: null });
      expect(error.cause).toBe(thrown);
    },
  );

  test("regression: a path of the server in what the system says stays with the cause", () => {
    const thrown = Object.assign(new Error("ENOENT: no such file or directory, open '/home/u/.longshore/key'"), {
      code: "ENOENT",
    });
    const error = asLongshoreError(thrown);
    expect(error.message).toBe(UNFORESEEN);
    expect(error.cause).toBe(thrown);
  });

  test.each([[undefined], [null], [0]])("%o too", (thrown) => {
    expect(asLongshoreError(thrown)).toMatchObject({ code: "INTERNAL", message: UNFORESEEN });
  });
});

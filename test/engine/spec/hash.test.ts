import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, specHash } from "../../../engine/spec/hash.ts";
import { parseJobSpec } from "../../../engine/spec/parse.ts";

describe("canonical JSON", () => {
  test("orders keys by UTF-16 units and writes numbers as RFC 8785 does", () => {
    const value = {
      "\u20ac": 1,
      "\r": 2,
      "1": 3,
      "\ud83d\ude02": 4,
      ö: 5,
      list: [1 / 3, 1e30, 4.5, 0.002, -0],
    };
    expect(canonicalJson(value)).toBe(
      '{"\\r":2,"1":3,"list":[0.3333333333333333,1e+30,4.5,0.002,0],"ö":5,"€":1,"😂":4}',
    );
  });

  test("refuses what JSON does not have", () => {
    expect(() => canonicalJson(undefined)).toThrow(TypeError);
    expect(() => canonicalJson({ a: Number.NaN })).toThrow();
    expect(() => canonicalJson(["\ud800"])).toThrow();
  });

  test("reads back as the same value, and does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(canonicalJson(Object.fromEntries(Object.entries(value).reverse()))).toBe(text);
      }),
    );
  });
});

test("a spec's hash is the SHA-256 of its canonical form, whoever wrote the defaults", () => {
  const short = parseJobSpec({ image: "alpine:3.20", labels: { b: "1", a: "2" } });
  const long = parseJobSpec({ labels: { a: "2", b: "1" }, image: "alpine:3.20", args: [], timeoutSeconds: 3600 });
  expect(specHash(short)).toBe(specHash(long));
  expect(specHash(short)).toBe(`sha256:${createHash("sha256").update(canonicalJson(short)).digest("hex")}`);
  expect(specHash(parseJobSpec({ image: "alpine:3.21", labels: { b: "1", a: "2" } }))).not.toBe(specHash(short));
});

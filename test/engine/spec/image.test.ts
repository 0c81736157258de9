import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { imageProblem, nameFromImage } from "../../../engine/spec/image.ts";

const SHA256 = `sha256:${"0a".repeat(32)}`;

describe("an image reference", () => {
  test.each([
    "alpine",
    "alpine:3.20",
    "library/alpine",
    "a/b/c/d:latest",
    "localhost/app",
    "localhost:5001/team/app:v1",
    "127.0.0.1:5001/app",
    "[::1]:5001/app:1",
    "Registry.Example.COM/app",
    "ghcr.io/a.b/c_d/e__f/g---h:_T",
    `alpine@${SHA256}`,
    `host.example:5000/a/b:tag@${SHA256}`,
    `alpine@sha512:${"f".repeat(128)}`,
    "a".repeat(255),
    `alpine:${"t".repeat(128)}`,
  ])("may be %s", (reference) => {
    expect(imageProblem(reference)).toBeUndefined();
  });

  test.each([
    ["", "empty"],
    ["Alpine", "lower case"],
    ["Team/app", "lower case"],
    ["ghcr.io/Team/app", "lower case"],
    ["https://ghcr.io/app", "scheme"],
    ["alpine:", "tag"],
    ["alpine:-x", "tag"],
    ["alpine:a:b", "tag"],
    [`alpine:${"t".repeat(129)}`, "tag"],
    ["alpine@", "digest"],
    ["alpine@sha256:abc", "digest"],
    [`alpine@${SHA256}00`, "digest"],
    [`alpine@${SHA256}@${SHA256}`, "digest"],
    ["a//b", "[a-z0-9]"],
    ["/a", "[a-z0-9]"],
    ["a/", "[a-z0-9]"],
    ["a..b", "[a-z0-9]"],
    ["a___b", "[a-z0-9]"],
    ["-a", "[a-z0-9]"],
    ["a b", "[a-z0-9]"],
    ["../../etc", "host"],
    ["a/../b", "[a-z0-9]"],
    ["--privileged", "[a-z0-9]"],
    ["host:0/app", "port"],
    ["host:65536/app", "port"],
    ["-host.example/app", "host"],
    ["a".repeat(256), "255"],
    [`h.example/${"a".repeat(246)}`, "255"],
    ["a".repeat(700), "600"],
    ["0a".repeat(32), "bare id"],
  ])("may not be %j", (reference, part) => {
    expect(imageProblem(reference)).toContain(part);
  });

  test("is judged without an exception and without repeating it", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), (reference) => {
        expect(imageProblem(reference) ?? "").not.toContain(reference);
      }),
    );
  });
});

describe("a job's name from its image", () => {
  test.each([
    ["alpine:3.20", "alpine"],
    [`host.example:5000/team/My_App.v2:tag@${SHA256}`, "my-app-v2"],
    ["localhost:5001/x", "x"],
    ["a".repeat(100), "a".repeat(63)],
    [`${"a".repeat(62)}-b`, "a".repeat(62)],
    ["", "job"],
    ["___", "job"],
  ])("%s gives %s", (reference, name) => {
    expect(nameFromImage(reference)).toBe(name);
  });

  test("is always a DNS label", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (reference) => {
        expect(nameFromImage(reference)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
      }),
    );
  });
});

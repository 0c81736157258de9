import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe("a suite whose clean-up fails", () => {
  afterAll(() => {
    throw new Error("the clean-up failed");
  });
  it("passes all the same", () => {
    expect("a".length).toBe(1);
  });
});

describe("a suite whose set-up fails", () => {
  beforeAll(() => {
    throw new Error("the set-up failed");
  });
  it("never runs", () => {
    expect.unreachable("the set-up failed");
  });
});

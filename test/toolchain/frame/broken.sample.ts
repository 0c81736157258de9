import { afterAll, describe, expect, it } from "vitest";

describe("a suite whose clean-up fails", () => {
  afterAll(() => {
    throw new Error("the clean-up failed");
  });
  it("passes all the same", () => {
    expect("a".length).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import { describeWith } from "../../lab/counterparts.ts";

describe("what needs nothing", () => {
  it("runs", () => {
    expect(1 + 1).toBe(2);
  });
});

describeWith("docker", "what needs an engine", () => {
  it("is counted", () => {
    expect.unreachable("nobody may run this without an engine");
  });
  describe("deeper", () => {
    it("is counted too", () => {
      expect.unreachable("nobody may run this without an engine");
    });
  });
});

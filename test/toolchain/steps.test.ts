import { beforeEach, describe, expect, it, vi } from "vitest";
import { runSteps } from "./steps.ts";

describe("a gate", () => {
  // The names of these steps would read like those of the gate that runs this test.
  beforeEach(() => {
    vi.spyOn(console, "log").mockReturnValue();
  });

  it("goes on after a failure and names every step that failed", async () => {
    const failed = await runSteps([
      { name: "first", command: ["node", "-e", "process.exit(3)"] },
      { name: "second", command: ["node", "-e", ""] },
      { name: "third", command: ["node", "-e", `process.kill(process.pid, "SIGKILL")`] },
      { name: "fourth", command: ["no-such-program"] },
    ]);
    expect(console.log).toHaveBeenCalledWith(`\n=== fourth: no-such-program`);
    expect(failed).toEqual([
      "first (exit 3)",
      expect.stringMatching(/^third \(.*SIGKILL/),
      expect.stringMatching(/^fourth \(.*ENOENT/),
    ]);
  });

  it("runs the project's own Node", async () => {
    const script = "process.exit(Number(process.versions.node.split('.')[0]) >= 24 ? 0 : 1)";
    expect(await runSteps([{ name: "node", command: ["node", "-e", script] }])).toEqual([]);
  });
});

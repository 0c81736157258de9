import { inspect } from "node:util";
import { expect, it } from "vitest";
import { createEngine } from "../../../../adapters/runtime/docker/client.ts";

it("regression: does not let the client print every connection for every request", async () => {
  const engine = createEngine({ dockerHost: "tcp://127.0.0.1:1" });
  try {
    const agent = await engine.call(async (client) => (client.modem as unknown as { agent: object }).agent);
    // As the client does it, also when its debug log is off.
    expect(inspect({ agent }, { showHidden: true, depth: null })).toBe("{ agent: [Agent] }");
  } finally {
    engine.close();
  }
});

import { describe, expect, it } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { orInDoubt } from "../../../engine/operations/unanswered.ts";
import { told } from "../../../functions/aws/serve.ts";
import lifecycle from "../../../functions/lifecycle.asl.json" with { type: "json" };

const CAUSE = new Error("a canary of the service's own words");
const AWAY = new LongshoreError("RUNTIME_UNAVAILABLE", "the engine is away", { cause: CAUSE, providerCode: "503" });

describe("an error on its way to Step Functions", () => {
  it("in doubt has the name by which the lifecycle runs the attempt again", async () => {
    const inDoubt = await orInDoubt(() => Promise.reject(AWAY)).catch((error: LongshoreError) => error);
    const error = told(inDoubt as LongshoreError);
    expect(error.name).toBe("AttemptInDoubt");
    expect(error.stack).toBe("AttemptInDoubt: the engine is away");
    const [first] = lifecycle.States.Run.Retry;
    expect(first?.ErrorEquals).toEqual([error.name]);
  });

  it("is named by its code otherwise, and says nothing but Longshore's own words", () => {
    const error = told(AWAY);
    expect([error.name, error.message]).toEqual(["RUNTIME_UNAVAILABLE", "the engine is away"]);
    expect(error.stack).toBe("RUNTIME_UNAVAILABLE: the engine is away");
    expect([error.cause, error.providerCode]).toEqual([undefined, null]);
  });
});

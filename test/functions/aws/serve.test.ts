import type { Context } from "aws-lambda";
import { describe, expect, it, vi } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { orInDoubt } from "../../../engine/operations/unanswered.ts";
import { serve, told } from "../../../functions/aws/serve.ts";
import lifecycle from "../../../functions/lifecycle.asl.json" with { type: "json" };

const CAUSE = new Error("a canary of the service's own words");
const AWAY = new LongshoreError("RUNTIME_UNAVAILABLE", "the engine is away", { cause: CAUSE, providerCode: "503" });

describe("a handler whose error is an answer", () => {
  it.each([
    ["RetryDue", 0, 1],
    ["RUNTIME_UNAVAILABLE", 1, 0],
  ])(
    "named %s is logged as a failure %i times, as an answer %i times, and thrown on",
    async (name, failures, answers) => {
      vi.stubEnv("LONGSHORE_TABLE", "t");
      vi.stubEnv("POWERTOOLS_DEV", "true");
      const written = { error: 0, info: 0 };
      for (const level of ["error", "info"] as const)
        vi.spyOn(console, level).mockImplementation(() => void written[level]++);
      const error = Object.assign(new LongshoreError("RUNTIME_UNAVAILABLE", "no"), name === "RetryDue" ? { name } : {});
      const handler = serve(async () => () => Promise.reject(error), { answers: ["RetryDue"] });
      await expect(handler({}, { getRemainingTimeInMillis: () => 1_000 } as Context)).rejects.toMatchObject({ name });
      expect(written).toEqual({ error: failures, info: answers });
    },
  );
});

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

import { describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { awsError, calling } from "../../../adapters/aws/errors.ts";
import { LongshoreError } from "../../../engine/errors.ts";

const service = (name: string, httpStatusCode: number, message = "x") =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode, requestId: "r-1" } });

describe("a failed call of an AWS service", () => {
  it.each<[unknown, string | null]>([
    [service("ThrottlingException", 400), "ThrottlingException"],
    [service("ProvisionedThroughputExceededException", 400), "ProvisionedThroughputExceededException"],
    [service("RequestLimitExceeded", 400), "RequestLimitExceeded"],
    [service("SlowDown", 503), "SlowDown"],
    [service("InternalServerError", 500), "InternalServerError"],
    [service("TooMany", 429), "TooMany"],
    // An answer that is no JSON, as a load balancer gives it.
    [service("SyntaxError", 502), "HTTP 502"],
    [Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "ECONNRESET"],
    [Object.assign(new Error("late"), { name: "TimeoutError" }), "TimeoutError"],
    [Object.assign(new Error("none"), { name: "CredentialsProviderError" }), "CredentialsProviderError"],
    [new Error("something else"), null],
  ])("that may pass is UNAVAILABLE: %s", (thrown, providerCode) => {
    expect(awsError("trying", thrown)).toMatchObject({ code: "UNAVAILABLE", providerCode });
  });

  it.each<[unknown, string | null]>([
    [service("AccessDeniedException", 400), "AccessDeniedException"],
    [service("ResourceNotFoundException", 400), "ResourceNotFoundException"],
    [service("ValidationException", 400), "ValidationException"],
    ["a text", null],
    [undefined, null],
    [null, null],
  ])("that will not pass is INTERNAL: %s", (thrown, providerCode) => {
    expect(awsError("trying", thrown)).toMatchObject({ code: "INTERNAL", providerCode });
  });

  it("quotes nothing that was sent or signed, and says by which request it failed", () => {
    const thrown = Object.assign(service("ValidationException", 400, "bad value hunter2"), {
      $response: { headers: { authorization: "Credential=hunter2" } },
      Item: "hunter2",
    });
    const error = awsError("trying", thrown);
    const cause = error.cause as Error;
    expect(error.message).toBe("trying failed: ValidationException");
    expect(cause.message).toBe("ValidationException, request r-1");
    expect(cause.stack).toContain("errors.test.ts");
    for (const one of [error, cause]) {
      const own = Object.getOwnPropertyNames(one).map((name) => [name, Reflect.get(one, name)]);
      expect(`${one.stack}${JSON.stringify(own)}`).not.toContain("hunter2");
    }
  });

  it("is left as it is when it is Longshore's own", async () => {
    const own = new LongshoreError("NOT_FOUND", "x");
    await expect(calling("trying", () => Promise.reject(own))).rejects.toBe(own);
    await expect(calling("trying", async () => 7)).resolves.toBe(7);
  });
});

describe("the settings of a client", () => {
  it("give up long before a function does: no call takes more than half a minute a try", () => {
    for (const name of ["dynamodb", "eventbridge", "kms", "secretsManager", "sfn", "ssm"] as const) {
      const { requestHandler, maxAttempts } = clientDefaults(name);
      expect(requestHandler.throwOnRequestTimeout).toBe(true);
      expect((requestHandler.connectionTimeout + requestHandler.requestTimeout) * maxAttempts, name).toBeLessThan(
        20_000,
      );
    }
    expect(clientDefaults("s3").requestHandler).toMatchObject({ requestTimeout: 30_000, socketTimeout: 15_000 });
  });
});

import type { Context } from "aws-lambda";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { createLambdaLogger } from "../../../functions/aws/logger.ts";

let lines: Record<string, unknown>[];

beforeEach(() => {
  lines = [];
  // Powertools writes to the console of the process, or in its development mode to the global one.
  vi.stubEnv("POWERTOOLS_DEV", "true");
  for (const level of ["info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, level).mockImplementation((text: string) => void lines.push(JSON.parse(text)));
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

const CONTEXT = { functionName: "dispatch", awsRequestId: "r1", memoryLimitInMB: "512" } as Context;

describe("the log of a function", () => {
  it("names the function, the invocation and the job on every line, and forgets the job with the next", () => {
    const logger = createLambdaLogger("info");
    logger.begin(CONTEXT, "job_A");
    logger.info({ attempt: 1 }, "one");
    logger.begin({ ...CONTEXT, awsRequestId: "r2" }, undefined);
    logger.warn({ jobId: "job_B" }, "two");
    logger.debug({}, "not at this level");
    expect(lines).toMatchObject([
      {
        level: "INFO",
        message: "one",
        jobId: "job_A",
        attempt: 1,
        function_name: "dispatch",
        function_request_id: "r1",
      },
      { level: "WARN", message: "two", jobId: "job_B", function_request_id: "r2" },
    ]);
    logger.info({}, "three");
    expect(lines[2]).not.toHaveProperty("jobId");
  });

  it("names the job of a line that speaks of one in other words, and of none where it speaks of two", () => {
    const logger = createLambdaLogger("info");
    const [one, two] = ["job_01JDZZZZZZ0000000000000001", "job_01JDZZZZZZ0000000000000002"];
    logger.begin(CONTEXT, undefined);
    logger.warn({ pk: `JOB#${one}`, sk: "EVENT#0000001" }, "a record of the change feed failed");
    logger.warn({ entry: `${one}#5` }, "the bus did not take an event");
    logger.warn({ work: `clean ${one}`, error: new LongshoreError("INTERNAL", `${one} is odd`) }, "it failed");
    logger.warn({ left: [`clean ${one}`, `clean ${two}`] }, "background work was left undone");
    logger.begin(CONTEXT, two);
    logger.warn({ execution: `${one}-1-0` }, "of another job than the invocation");
    logger.warn({ jobId: two, name: `${one}-1-0` }, "named is named");
    expect(lines.map(({ jobId }) => jobId)).toEqual([one, one, one, undefined, one, two]);
  });

  it("tells of errors their code and Longshore's own words, never what a service wrote", () => {
    const logger = createLambdaLogger("info");
    const cause = Object.assign(new Error("Value 'hunter2' at 'value' failed"), { name: "ValidationException" });
    logger.error({ error: new LongshoreError("INTERNAL", "reading failed", { cause }), message: "taken" }, "it failed");
    expect(lines).toMatchObject([
      {
        message: "it failed",
        message_: "taken",
        error_: { code: "INTERNAL", message: "reading failed", cause: { type: "ValidationException" } },
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
    expect(JSON.stringify(lines)).toContain("logger.test.ts");
  });

  it("takes no frame for one that a message made up", () => {
    const logger = createLambdaLogger("info");
    const error = new Error("a\n    at hunter2 (secret)");
    error.stack = "    at hunter2 (secret)";
    logger.error({ error: new Error("first\n  at hunter2 (secret)") }, "one");
    logger.error({ error }, "two");
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });
});

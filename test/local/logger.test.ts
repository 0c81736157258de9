import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { createLogger } from "../../local/logger.ts";

describe("the log", () => {
  const collect = (level: "debug" | "info" | "warn" | "error") => {
    const lines: string[] = [];
    const logger = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
    return { logger, lines: () => lines.map((line): Record<string, unknown> => JSON.parse(line)) };
  };

  it("writes one JSON object a line with level, time, fields and message, and nothing of the machine", () => {
    const { logger, lines } = collect("info");
    logger.info({ jobId: "job_1", text: "two\nlines" }, "a job was\naccepted");
    const [line] = lines();
    expect(line).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      jobId: "job_1",
      text: "two\nlines",
      message: "a job was\naccepted",
    });
  });

  it("leaves out what is below its level", () => {
    const { logger, lines } = collect("warn");
    for (const level of ["debug", "info", "warn", "error"] as const) logger[level]({}, level);
    expect(lines().map(({ level }) => level)).toEqual(["warn", "error"]);
  });

  it("shows an error with its code and causes, without a stack unless it is told to debug", () => {
    const error = new LongshoreError("UNAVAILABLE", "the table cannot be used", {
      cause: new TypeError("inner"),
      providerCode: "SQLITE_FULL",
    });
    const plain = collect("info");
    plain.logger.error({ error, other: 1 }, "failed");
    plain.logger.error(error, "failed");
    const shown = {
      type: "LongshoreError",
      message: "the table cannot be used",
      code: "UNAVAILABLE",
      providerCode: "SQLITE_FULL",
      cause: { type: "TypeError", message: "inner" },
    };
    expect(plain.lines().map(({ error: fields }) => fields)).toEqual([shown, shown]);
    const debug = collect("debug");
    debug.logger.error({ error }, "failed");
    expect(debug.lines()[0]).toMatchObject({ error: { stack: expect.stringContaining("logger.test.ts") } });
  });

  it.each(["error", "err", "reason"])("regression: shows an error the same way whatever it is called: %s", (name) => {
    const error = new LongshoreError("UNAVAILABLE", "the table cannot be used", { cause: new TypeError("inner") });
    const { logger, lines } = collect("info");
    logger.error({ [name]: error }, "failed");
    expect(lines()[0]?.[name]).toEqual({
      type: "LongshoreError",
      message: "the table cannot be used",
      code: "UNAVAILABLE",
      cause: { type: "TypeError", message: "inner" },
    });
  });

  it("shows nothing of an error but its type, message, code and causes: its other members may hold anything", () => {
    const inner = Object.assign(new Error("inner"), { env: ["DB_PASSWORD=hunter2"], code: { value: "hunter2" } });
    const error = Object.assign(new Error("outer", { cause: inner }), { request: { headers: { auth: "hunter2" } } });
    const violated = new LongshoreError("VALIDATION", "no", {
      violations: [{ path: "env", code: "x", message: "hunter2" }],
      cause: { text: "hunter2" },
    });
    const { logger, lines } = collect("info");
    logger.error({ error }, "failed");
    logger.error({ error: violated, aggregate: new AggregateError([inner], "many") }, "failed");
    expect(JSON.stringify(lines())).not.toContain("hunter2");
    expect(lines()[0]?.error).toEqual({ type: "Error", message: "outer", cause: { type: "Error", message: "inner" } });
  });

  it("shows the stacks of an error and of its causes when it is told to debug, and only then", () => {
    const error = new LongshoreError("INTERNAL", "outer", { cause: new TypeError("inner") });
    const debug = collect("debug");
    debug.logger.debug({ error }, "failed");
    expect(debug.lines()[0]?.error).toMatchObject({
      stack: expect.stringMatching(/^LongshoreError: outer\n\s+at /),
      cause: { stack: expect.stringMatching(/^TypeError: inner\n\s+at /) },
    });
    const info = collect("info");
    info.logger.error({ error }, "failed");
    expect(JSON.stringify(info.lines())).not.toMatch(/stack|logger\.test/);
  });

  it("ends for an error that causes itself", () => {
    const error = new Error("round");
    error.cause = error;
    const { logger, lines } = collect("info");
    logger.warn({ error }, "round and round");
    expect(lines()).toHaveLength(1);
  });

  it("writes to standard error, at once, also right before a crash", async () => {
    const source = `import { createLogger } from ${JSON.stringify(join(import.meta.dirname, "../../local/logger.ts"))};
      createLogger({ level: "info" }).info({ n: 1 }, "last words");
      process.kill(process.pid, "SIGKILL");`;
    const result = await execa(process.execPath, ["--input-type=module", "-e", source], { reject: false });
    expect(result.signal).toBe("SIGKILL");
    expect(result.stdout).toBe("");
    expect(JSON.parse(result.stderr)).toMatchObject({ n: 1, message: "last words" });
  });
});

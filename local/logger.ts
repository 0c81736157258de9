import { type DestinationStream, destination as fileDescriptor, pino, stdTimeFunctions } from "pino";
import type { Logger } from "../engine/ports/logger.ts";

const MAX_CAUSES = 4;

/** An error as fields: no stack unless asked for, since stacks hold paths of the machine. */
function errorFields(error: Error, withStack: boolean, depth = 0): Record<string, unknown> {
  const fields: Record<string, unknown> = { type: error.name, message: error.message };
  for (const name of ["code", "providerCode"] as const) {
    const value = (error as { code?: unknown; providerCode?: unknown })[name];
    if (typeof value === "string" || typeof value === "number") fields[name] = value;
  }
  if (withStack) fields.stack = error.stack;
  if (error.cause instanceof Error && depth < MAX_CAUSES) {
    fields.cause = errorFields(error.cause, withStack, depth + 1);
  }
  return fields;
}

/**
 * Longshore's own log: one JSON object a line with `level`, `time` (RFC 3339, UTC), the fields and `message`, written
 * at once to standard error unless `destination` is given. Errors among the fields have no stack unless `level` is debug.
 */
export function createLogger(options: {
  level: "debug" | "info" | "warn" | "error";
  destination?: DestinationStream;
}): Logger {
  const withStack = options.level === "debug";
  // Written synchronously: the line before a crash is the one that is needed.
  const destination = options.destination ?? fileDescriptor({ dest: 2, sync: true });
  const log = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: stdTimeFunctions.isoTime,
      // Pino would take what is called `err` for an error of its own to show, stack and all.
      serializers: { err: (value: unknown) => value },
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const safe = (fields: object): object => {
    if (fields instanceof Error) return { error: errorFields(fields, withStack) };
    const entries = Object.entries(fields);
    if (!entries.some(([, value]) => value instanceof Error)) return fields;
    return Object.fromEntries(
      entries.map(([name, value]) => [name, value instanceof Error ? errorFields(value, withStack) : value]),
    );
  };
  const write =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: object, message: string): void => {
      if (log.isLevelEnabled(level)) log[level](safe(fields), message);
    };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

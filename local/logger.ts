import { type DestinationStream, destination as fileDescriptor, pino, stdTimeFunctions } from "pino";
import { loggable } from "../engine/loggable.ts";
import type { Logger } from "../engine/ports/logger.ts";

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
  const write =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: object, message: string): void => {
      if (log.isLevelEnabled(level)) log[level](loggable(fields, { stacks: withStack }), message);
    };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

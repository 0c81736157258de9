import { LongshoreError } from "./errors.ts";

const MAX_CAUSES = 4;
const MAX_FRAMES = 8;

export interface LoggableOptions {
  /** Also the stacks: they hold paths of the machine. */
  stacks: boolean;
  /**
   * Of an error that Longshore did not write tell its type, its code and where it was thrown, and not its message: a
   * service's may quote what it was sent. Default: its message too.
   */
  ownWordsOnly?: boolean;
}

function errorFields(error: Error, options: LoggableOptions, depth = 0): Record<string, unknown> {
  const { stacks, ownWordsOnly = false } = options;
  const hidden = ownWordsOnly && !(error instanceof LongshoreError);
  const fields: Record<string, unknown> = { type: error.name };
  if (!hidden) fields.message = error.message;
  for (const name of ["code", "providerCode"] as const) {
    const value = (error as { code?: unknown; providerCode?: unknown })[name];
    if (typeof value === "string" || typeof value === "number") fields[name] = value;
  }
  if (hidden) fields.frames = framesOf(error);
  else if (stacks) fields.stack = error.stack;
  if (error.cause instanceof Error && depth < MAX_CAUSES) {
    fields.cause = errorFields(error.cause, options, depth + 1);
  }
  return fields;
}

/** Where an error was thrown, without its message, which comes before that in its stack. */
function framesOf({ name, message, stack = "" }: Error): string[] {
  const head = `${name}: ${message}`;
  // A stack that does not begin so was made by somebody else, who may have put anything in it.
  const lines = stack.startsWith(head) ? stack.slice(head.length).split("\n") : [];
  const frames = lines.map((line) => line.trim()).filter((line) => line.startsWith("at "));
  return frames.slice(0, MAX_FRAMES);
}

/** Fields of a log line with every error among them as fields too. */
export function loggable(fields: object, options: LoggableOptions): object {
  if (fields instanceof Error) return { error: errorFields(fields, options) };
  const entries = Object.entries(fields);
  if (!entries.some(([, value]) => value instanceof Error)) return fields;
  return Object.fromEntries(
    entries.map(([name, value]) => [name, value instanceof Error ? errorFields(value, options) : value]),
  );
}

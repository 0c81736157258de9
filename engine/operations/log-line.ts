/** One line of a job's log, as stored and as the API shows it; `seq` grows over all attempts. */
export interface LogLine {
  seq: number;
  /** RFC 3339, UTC. */
  time: string;
  stream: "stdout" | "stderr" | "system";
  text: string;
  attempt: number;
}

/** What a line takes besides its text, wherever it is kept: bytes. Empty lines would else be almost free. */
const LINE_OVERHEAD_BYTES = 100;

/** What a line counts against a budget, in bytes. */
export function budgetBytes({ text }: LogLine): number {
  return Buffer.byteLength(text) + LINE_OVERHEAD_BYTES;
}

/** The text of the line that ends a log of which the rest is lost. It says no reason: that may hold paths. */
export const REST_UNREADABLE = "the rest of the log could not be read";
/** The text of the only line of a log that nobody may see. */
export const MASKS_UNREADABLE = "the log could not be read: it is not known any more what is to be masked in it";

const OMISSION = /^(\d+) lines were left out here: /;

/** The line that stands for `count` lines, of which `first` is the first. */
export function omissionLine(first: LogLine, count: number, maxBytes: number): LogLine {
  const limit = `${maxBytes}, of which every line takes ${LINE_OVERHEAD_BYTES} and its text`;
  const text = `${count} lines were left out here: the log is longer than logs.maxBytes (${limit})`;
  return { ...first, stream: "system", text };
}

/** How many lines a line stands for that were left out; 0 for a line of the log itself. */
export function omittedLines({ stream, text }: LogLine): number {
  return stream === "system" ? Number(OMISSION.exec(text)?.[1] ?? 0) : 0;
}

/** Whether a line says that something could not be read. */
export function saysUnreadable({ stream, text }: LogLine): boolean {
  return stream === "system" && (text === REST_UNREADABLE || text === MASKS_UNREADABLE);
}

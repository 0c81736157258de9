import type { Readable, Writable } from "node:stream";
import type { styleText } from "node:util";
import type { Settings } from "../local/settings.ts";
import type { HomeLink } from "./home.ts";

export type Environment = Record<string, string | undefined>;

/** A running engine inside this process. */
export interface EmbeddedHome {
  url: string;
  close(): Promise<void>;
}

/** What the command line is connected to: the entry point gives the real ones. */
export interface Io {
  env: Environment;
  stdin: Readable;
  stdout: Writable;
  stderr: Writable;
  /** Calls back at every SIGINT and SIGTERM; returns the function that ends it. */
  onStopSignal(handler: () => void): () => void;
  /** Leaves at once, without any cleaning up. */
  exitNow(code: number): never;
  openHome(settings: Settings): Promise<EmbeddedHome>;
}

export type Style = Parameters<typeof styleText>[0];

/** What a command has at hand. */
export interface Cli {
  io: Io;
  home: HomeLink;
  /** Answer in JSON. */
  json: boolean;
  /** Writes a line to the standard output. @throws BrokenPipe when nobody reads it any more. */
  print(line: string): Promise<void>;
  /** Writes a line about what goes on to the standard error. */
  note(line: string): Promise<void>;
  /** Styles a text for the standard output or error where that is a terminal and colours are wanted. */
  paint(style: Style, text: string, where?: "stdout" | "stderr"): string;
}

/** The reader of the standard output has gone. */
export class BrokenPipe extends Error {}

/** What the user asked for cannot be understood; the message says what, in one line. */
export class UsageError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UsageError";
  }
}

/** Writes and waits until the text was taken. @throws BrokenPipe when nobody reads it any more. */
export function write(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error) resolve();
      else
        reject(
          ["EPIPE", "ERR_STREAM_DESTROYED"].includes((error as { code?: string }).code ?? "")
            ? new BrokenPipe()
            : error,
        );
    });
  });
}

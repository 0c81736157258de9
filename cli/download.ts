import { createGunzip } from "node:zlib";
import { type Options, SingleBar } from "cli-progress";
import type { Artifact } from "../sdk/types.ts";
import type { Cli } from "./context.ts";

/** Shows how much of several files has come, where the standard error is a terminal. */
export interface DownloadBar {
  /** The bytes as they come; they are counted. */
  counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Writes a line about what goes on; the bar comes back with the next bytes. */
  note(line: string): Promise<void>;
  /** Takes the bar away, so that a line can be written; idempotent. */
  clear(): void;
}

const BYTES_PER_MIB = 1024 * 1024;
const mebibytes = (bytes: number) => (bytes / BYTES_PER_MIB).toFixed(1);

export function createDownloadBar(cli: Cli, artifacts: readonly Artifact[]): DownloadBar {
  const total = artifacts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const isTerminal = (cli.io.stderr as Partial<NodeJS.WriteStream>).isTTY === true;
  let bar: SingleBar | undefined;
  let done = 0;
  const clear = () => {
    bar?.stop();
    bar = undefined;
  };
  const show = () => {
    if (!isTerminal || cli.json) return;
    if (bar === undefined) {
      bar = new SingleBar(barOptions(cli));
      bar.start(total, done, { got: mebibytes(done), all: mebibytes(total) });
    }
    bar.update(done, { got: mebibytes(done), all: mebibytes(total) });
  };
  return {
    clear,
    async note(line) {
      clear();
      await cli.note(line);
    },
    async *counted(bytes) {
      for await (const chunk of bytes) {
        done += chunk.length;
        show();
        yield chunk;
      }
    },
  };
}

function barOptions(cli: Cli): Options {
  return {
    stream: cli.io.stderr as NodeJS.WriteStream,
    format: "downloading [{bar}] {percentage}% {got} of {all} MiB",
    barCompleteChar: "=",
    barIncompleteChar: " ",
    hideCursor: false,
    clearOnComplete: true,
    gracefulExit: false,
  };
}

/** A file as the job wrote it, from its bytes as they are stored. */
export function decoded({ encoding }: Artifact, bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return encoding === "gzip" ? gunzipped(bytes) : bytes;
}

async function* gunzipped(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  // What the source throws comes out at the other end; only then does anybody wait for this.
  const written = write(gunzip, bytes).catch((thrown: Error) => gunzip.destroy(thrown));
  yield* gunzip as AsyncIterable<Uint8Array>;
  await written;
}

async function write(gunzip: ReturnType<typeof createGunzip>, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes) {
    if (!gunzip.write(chunk)) await new Promise((resolve) => gunzip.once("drain", resolve).once("close", resolve));
    if (gunzip.destroyed) return;
  }
  gunzip.end();
}

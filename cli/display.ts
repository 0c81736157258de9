import { type Options, SingleBar } from "cli-progress";
import type { Event, Heartbeat, PullProgress } from "../sdk/types.ts";
import type { Cli } from "./context.ts";

/** Tells on the standard error where a job stands. */
export interface Display {
  event(event: Event): Promise<void>;
  heartbeat(heartbeat: Heartbeat): void;
  /** Takes the bar away, so that a line can be written; idempotent. */
  clear(): void;
}

const BYTES_PER_MIB = 1024 * 1024;

/** Phases as lines, and a bar while an image is pulled where the standard error is a terminal. */
export function createDisplay(cli: Cli): Display {
  let bar: SingleBar | undefined;
  let shown = "";
  const clear = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    clear,
    async event({ phase, attempt, data }) {
      const now = `${attempt}/${phase}`;
      if (phase === null || now === shown) return;
      shown = now;
      clear();
      const which = attempt > 1 ? ` (attempt ${attempt})` : "";
      const what = phase === "pulling" && typeof data.image === "string" ? ` ${data.image}` : "";
      await cli.note(cli.paint("dim", `${phase}${what}${which}`, "stderr"));
    },
    heartbeat({ progress }) {
      if (!progress || !isTerminal(cli)) return;
      bar ??= startBar(cli, progress);
      bar.setTotal(mebibytes(progress.totalBytes));
      bar.update(mebibytes(progress.currentBytes));
    },
  };
}

function startBar(cli: Cli, { totalBytes }: PullProgress): SingleBar {
  const options: Options = {
    stream: cli.io.stderr as NodeJS.WriteStream,
    format: "pulling [{bar}] {percentage}% of {total} MiB",
    barCompleteChar: "=",
    barIncompleteChar: " ",
    hideCursor: true,
    clearOnComplete: true,
    // Ctrl-C cancels the job; the bar must not take the signal for itself.
    gracefulExit: false,
  };
  const bar = new SingleBar(options);
  bar.start(mebibytes(totalBytes), 0);
  return bar;
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_MIB);
}

function isTerminal(cli: Cli): boolean {
  return (cli.io.stderr as Partial<NodeJS.WriteStream>).isTTY === true;
}

import { type Options, SingleBar } from "cli-progress";
import type { Event, Heartbeat, PullProgress, WaitReason } from "../sdk/types.ts";
import type { Cli } from "./context.ts";
import { plain } from "./table.ts";

/** Tells on the standard error where a job stands. */
export interface Display {
  event(event: Event): Promise<void>;
  heartbeat(heartbeat: Heartbeat): void;
  /** Tells why the job waits, when that is news. */
  waiting(reason: WaitReason | null): Promise<void>;
  /** Takes the bar away, so that a line can be written; idempotent. */
  clear(): void;
}

const BYTES_PER_MIB = 1024 * 1024;

/** Phases as lines, and a bar while an image is pulled where the standard error is a terminal. */
export function createDisplay(cli: Cli): Display {
  let bar: SingleBar | undefined;
  let shown = "";
  let why = "";
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
      const what = phase === "pulling" && typeof data.image === "string" ? ` ${plain(data.image)}` : "";
      await cli.note(cli.paint("dim", `${phase}${what}${which}`, "stderr"));
    },
    async waiting(reason) {
      if (reason === null || reason.message === why) return;
      why = reason.message;
      await cli.note(cli.paint("dim", `waiting: ${plain(why)}`, "stderr"));
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
    // A second Ctrl-C leaves at once, and nobody would bring the cursor back.
    hideCursor: false,
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

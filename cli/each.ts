import type { FlagDef } from "./command.ts";
import { BrokenPipe, type Cli } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { failureOf } from "./failure.ts";
import { plain } from "./table.ts";

/** The words of a command that acts on jobs. */
export const JOB_IDS = {
  "id…": { type: "positional", multiple: true, description: "The ids of jobs" },
} as const satisfies Record<string, FlagDef>;

/** The words of a command that acts on dead letters. */
export const DEAD_LETTER_IDS = {
  "id…": { type: "positional", multiple: true, description: "The ids of dead letters" },
} as const satisfies Record<string, FlagDef>;

/** As `eachOf`, for jobs. */
export function eachJob(cli: Cli, jobIds: readonly string[], act: (jobId: string) => Promise<void>): Promise<number> {
  return eachOf(cli, { ids: jobIds, key: "jobId" }, act);
}

/** As `eachOf`, for dead letters. */
export function eachDeadLetter(cli: Cli, ids: readonly string[], act: (id: string) => Promise<void>): Promise<number> {
  return eachOf(cli, { ids, key: "id" }, act);
}

/**
 * Does something for every id, in order; one that fails does not keep the others from it. Resolves with the exit code
 * of the last failure. `key` is what JSON calls the ids.
 */
async function eachOf(
  cli: Cli,
  { ids, key }: { ids: readonly string[]; key: string },
  act: (id: string) => Promise<void>,
): Promise<number> {
  if (ids.length === 1 && ids[0] !== undefined) {
    await act(ids[0]);
    return EXIT.ok;
  }
  let code: number = EXIT.ok;
  for (const id of ids) {
    try {
      await act(id);
    } catch (thrown) {
      if (thrown instanceof BrokenPipe) throw thrown;
      const failure = failureOf(thrown);
      code = failure.exitCode;
      const text = cli.json
        ? JSON.stringify({ [key]: id, ...failure.document })
        : `longshore: ${plain(id)}: ${failure.lines.join("\n")}`;
      await cli.note(text);
    }
  }
  return code;
}

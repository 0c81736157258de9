import type { FlagDef } from "./command.ts";
import { BrokenPipe, type Cli } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { failureOf } from "./failure.ts";
import { plain } from "./table.ts";

/** The words of a command that acts on jobs. */
export const JOB_IDS = {
  "id…": { type: "positional", multiple: true, description: "The ids of jobs" },
} as const satisfies Record<string, FlagDef>;

/**
 * Does something for every id, in order; one that fails does not keep the others from it. Resolves with the exit code
 * of the last failure.
 */
export async function eachJob(
  cli: Cli,
  jobIds: readonly string[],
  act: (jobId: string) => Promise<void>,
): Promise<number> {
  if (jobIds.length === 1 && jobIds[0] !== undefined) {
    await act(jobIds[0]);
    return EXIT.ok;
  }
  let code: number = EXIT.ok;
  for (const jobId of jobIds) {
    try {
      await act(jobId);
    } catch (thrown) {
      if (thrown instanceof BrokenPipe) throw thrown;
      const failure = failureOf(thrown);
      code = failure.exitCode;
      const text = cli.json
        ? JSON.stringify({ jobId, ...failure.document })
        : `longshore: ${plain(jobId)}: ${failure.lines.join("\n")}`;
      await cli.note(text);
    }
  }
  return code;
}

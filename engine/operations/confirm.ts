import type { EngineContext } from "../context.ts";
import { readLife } from "../ledger/read.ts";
import type { Life } from "../ledger/records.ts";
import { isToEnd, stageOf } from "../occurrences.ts";
import { type ExecutionOf, isCurrent } from "./observe.ts";

/** A launch's question, just before its command is started, and what came of it. */
export interface Confirmation {
  /** As `Launch.confirm`. */
  confirm(): Promise<void>;
  /** What the question was answered with when it was not a yes. */
  refusal(): Refusal | undefined;
}

export interface Refusal {
  /** What is thrown: for whoever may not start, or because the ledger could not be asked. */
  error: unknown;
  /** The attempt has ended, runs already, was overtaken or is to end. */
  overtaken: boolean;
}

class LaunchOvertaken extends Error {
  override name = "LaunchOvertaken";
}

/**
 * Asks the ledger whether a launch may still start its command.
 *
 * The race that it wins: a launch that is slow, or was delivered twice, and makes its resource when another one's has run,
 * ended and been removed already, so that the name is free again. What was started is removed only after its end, or the
 * wish for it, is on record: who finds none of both after the resource was made is the first to start one.
 */
export function createConfirmation(ctx: EngineContext, execution: ExecutionOf): Confirmation {
  let refused: Refusal | undefined;
  return {
    async confirm() {
      try {
        const life = await readLife(ctx.ledger, execution.jobId);
        if (life !== undefined && mayStart(life, execution)) return;
      } catch (error) {
        refused = { error, overtaken: false };
        throw error;
      }
      const error = new LaunchOvertaken("the attempt must not be started any more");
      refused = { error, overtaken: true };
      throw error;
    },
    refusal: () => refused,
  };
}

function mayStart(life: Life, execution: ExecutionOf): boolean {
  if (!isCurrent(life.job, execution) || isToEnd(life)) return false;
  const stage = stageOf(life.job);
  return stage === "validating" || stage === "pulling" || stage === "creating";
}

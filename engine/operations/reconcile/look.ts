import type { EngineContext } from "../../context.ts";
import type { JobRecord } from "../../ledger/records.ts";
import type { Owned, RuntimeAdapter } from "../../ports/runtime.ts";
import { fail, goOn, inTime, isLate, type Sweep } from "./sweep.ts";

/** What a runtime told in one go of everything that runs there. */
export interface RuntimeLook {
  runtime: RuntimeAdapter;
  /** Ms since the epoch. Of what was done at or after it the look knows nothing for certain. */
  beganAtMs: number;
  owned: Owned[];
  /** It was read to its end. A look that broke off says of nothing that it is not there. */
  complete: boolean;
  /** The runtime takes calls and does not answer. */
  silent: boolean;
  /** Running jobs that were found alive, or were not when they should be and could not be repaired. */
  alive: number;
  doubtful: number;
  /** The references that running jobs were found under. */
  matched: Set<string>;
  byAttempt: Map<string, Owned[]>;
}

/** A look as a whole takes no longer than this, ms, however many it lists. */
const LOOK_LIMIT_MS = 60_000;

const attemptKey = (jobId: string, attempt: number) => `${jobId}#${attempt}`;

/** Looks at all runtimes side by side, with one list each. A list that fails half-way counts as far as it went. */
export async function lookAround(sweep: Omit<Sweep, "looks">): Promise<Map<string, RuntimeLook>> {
  const looks = sweep.ctx.runtimes.all().map((runtime) => newLook(sweep.ctx, runtime));
  const done = await Promise.allSettled(looks.map((look) => read(sweep, look)));
  const failed = done.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return new Map(looks.map((look) => [look.runtime.name, look]));
}

function newLook(ctx: EngineContext, runtime: RuntimeAdapter): RuntimeLook {
  const empty = { owned: [], complete: false, silent: false, alive: 0, doubtful: 0 };
  return { ...empty, runtime, beganAtMs: ctx.clock(), matched: new Set(), byAttempt: new Map() };
}

async function read(sweep: Omit<Sweep, "looks">, look: RuntimeLook): Promise<void> {
  const { ctx, report } = sweep;
  const { name } = look.runtime;
  try {
    const list = look.runtime.list()[Symbol.asyncIterator]();
    for (;;) {
      const next = await inTime(list.next(), name);
      if (next.done) break;
      add(look, next.value);
      if (ctx.clock() - look.beganAtMs > LOOK_LIMIT_MS) {
        await list.return?.();
        throw new Error(`${name} takes longer than ${LOOK_LIMIT_MS / 1000} s to list what runs there`);
      }
    }
    look.complete = true;
  } catch (error) {
    look.silent = isLate(error);
    fail(report, name, error);
  }
  await goOn(sweep);
}

function add(look: RuntimeLook, owned: Owned): void {
  look.owned.push(owned);
  const key = attemptKey(owned.jobId, owned.attempt);
  const same = look.byAttempt.get(key);
  if (same === undefined) look.byAttempt.set(key, [owned]);
  else same.push(owned);
}

/** The attempt's own resource in the look; something else may carry its labels. */
export function findIn(look: RuntimeLook, { jobId, attempt, externalRef }: JobRecord): Owned | undefined {
  return look.byAttempt.get(attemptKey(jobId, attempt))?.find(({ ref }) => ref === externalRef);
}

/** Whether the job has been as it is since before the look began, so that the look can speak of it. */
export function isOlder(job: JobRecord, { beganAtMs }: RuntimeLook): boolean {
  return Date.parse(job.lastHeartbeatAt ?? job.createdAt) < beganAtMs;
}

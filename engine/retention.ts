import * as z from "zod";
import type { JobRecord } from "./ledger/records.ts";
import { isTerminal, TERMINAL_STATUSES, type TerminalStatus } from "./states.ts";

/** A bound, and others in its place for single statuses. */
export interface ByStatus<T> {
  all: T;
  byStatus: { readonly [status in TerminalStatus]?: number };
}

/** How long finished runs are kept. */
export interface Retention {
  /** Days from the end of a run. */
  days: ByStatus<number>;
  /** The newest so many are kept at most; `all` counts every status together, null: no bound. */
  runs: ByStatus<number | null>;
}

const DAY_MS = 24 * 3600_000;

/** Most days that a run can be kept, and most runs that can be counted. */
const MAX_DAYS = 36_500;
const MAX_RUNS = 1_000_000;

function bounds<T extends number | null>(max: number, { none, example }: { none: T; example: string }) {
  const message = `must be a whole number from 1 to ${max}, with others for single statuses: ${example}`;
  const statuses = TERMINAL_STATUSES as readonly string[];
  return z.string().transform((text, context): ByStatus<number | T> => {
    let all: number | undefined;
    const byStatus: Partial<Record<TerminalStatus, number>> = {};
    for (const part of text.split(",").map((one) => one.trim())) {
      const [, status, digits = ""] = /^(?:([A-Z_]+)=)?(\d{1,15})$/.exec(part) ?? [];
      const n = Number(digits);
      const isKnown = status === undefined ? all === undefined : statuses.includes(status) && !(status in byStatus);
      if (digits === "" || n < 1 || n > max || !isKnown) {
        context.addIssue({ code: "custom", message });
        return z.NEVER;
      }
      if (status === undefined) all = n;
      else byStatus[status as TerminalStatus] = n;
    }
    return { all: all ?? none, byStatus };
  });
}

const DEFAULT_DAYS = 30;

/** `30`, `30,FAILED=90`: days; the default for statuses that are not named is 30. */
export const retentionDays = bounds(MAX_DAYS, { none: DEFAULT_DAYS, example: "30,FAILED=90" });

/** `10000`, `SUCCEEDED=1000`: how many of the newest runs are kept. */
export const retentionRuns = bounds<number | null>(MAX_RUNS, { none: null, example: "10000,FAILED=1000" });

/** Whether a job is finished, and nothing is left to do for it: only then is it a run that may be erased. */
export function isErasable({ status, cleanupPending, stagedIn }: JobRecord): boolean {
  return isTerminal(status) && !cleanupPending && stagedIn === undefined;
}

/** Ends at or before which a run is too old, ms since the epoch, by its status. */
export function cutoffMs({ days }: Retention, status: TerminalStatus, nowMs: number): number {
  return nowMs - (days.byStatus[status] ?? days.all) * DAY_MS;
}

/** The latest of all those times: no job that was made after it is too old. */
export function latestCutoffMs(retention: Retention, nowMs: number): number {
  return Math.max(...TERMINAL_STATUSES.map((status) => cutoffMs(retention, status, nowMs)));
}

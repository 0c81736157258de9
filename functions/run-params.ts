import * as z from "zod";
import { LongshoreError } from "../engine/errors.ts";
import { isJobId, type JobId } from "../engine/ids.ts";
import type { RunFilter } from "../engine/ledger/runs.ts";
import type { CleanupQuery } from "../engine/operations/cleanup-runs.ts";
import { TERMINAL_STATUSES } from "../engine/states.ts";
import type { ApiEvent } from "./http.ts";
import { cursor, label, pageLimit, parse, splitOnce, time } from "./params.ts";

const status = z.enum(TERMINAL_STATUSES);

/** @throws LongshoreError NOT_FOUND: what is no job id names no run. */
export function runIdOf(text: string): JobId {
  if (!isJobId(text)) throw new LongshoreError("NOT_FOUND", "there is no run with this id");
  return text;
}

export const runsSchema = z.object({
  status: z.array(status).optional(),
  runtime: z.string().optional(),
  label: z.array(label).optional(),
  name: z.string().optional(),
  finishedAfter: time.optional(),
  finishedBefore: time.optional(),
  limit: pageLimit,
  cursor: cursor.optional(),
});

/** What `GET /runs` asks for. @throws LongshoreError VALIDATION. */
export function runParams(event: ApiEvent): { filter: RunFilter; limit: number; cursor?: string } {
  const { limit, cursor: after, label: labels, ...given } = parse(runsSchema, event, ["status", "label"]);
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const filter: RunFilter = {
    ...(Object.fromEntries(known) as RunFilter),
    ...(labels === undefined ? {} : { labels: labels.map(splitOnce) }),
  };
  return after === undefined ? { filter, limit } : { filter, limit, cursor: after };
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3600_000, d: 86_400_000, w: 604_800_000 };
const MAX_AGE_MS = 36_500 * 86_400_000;
const NOT_AN_AGE = "must be a whole number and a unit, s, m, h, d or w, such as 7d, and 100 years at most";

/** An age such as `7d`, ms. */
const age = z
  .string()
  .regex(/^\d{1,10}[smhdw]$/, NOT_AN_AGE)
  .transform((text) => Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? Number.NaN))
  .refine((ms) => ms <= MAX_AGE_MS, NOT_AN_AGE);

const MAX_KEEP = 100_000;

export const cleanupSchema = z.strictObject({
  olderThan: age,
  dryRun: z.boolean().default(false),
  status: z.union([status.transform((one) => [one]), z.array(status).min(1)]).optional(),
  keep: z.int().min(0).max(MAX_KEEP).optional(),
  cursor: cursor.optional(),
});

/** What `POST /runs/cleanup` asks for. @throws LongshoreError VALIDATION. */
export function cleanupQuery(body: unknown, nowMs: number): CleanupQuery {
  const parsed = cleanupSchema.safeParse(body);
  if (!parsed.success) {
    const violations = parsed.error.issues.map(({ path, code, message }) => {
      const at = path.join(".");
      return { path: at, code, message: at === "" ? message : `${at}: ${message}` };
    });
    throw new LongshoreError("VALIDATION", violations[0]?.message ?? "the body is invalid", { violations });
  }
  const { olderThan, ...rest } = parsed.data;
  const known = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { endedBeforeMs: nowMs - olderThan, dryRun: false, ...Object.fromEntries(known) };
}

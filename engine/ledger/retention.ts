import { type Change, ConflictError } from "../ports/table.ts";
import type { TerminalStatus } from "../states.ts";
import { retentionKey } from "./keys.ts";
import { type Lease, LeaseLostError } from "./lease.ts";
import type { Ledger } from "./ledger.ts";

/** Runs with ids before these are beyond the number that is kept: of any status, and of single ones. */
export interface Boundaries {
  all?: string;
  byStatus: { [status in TerminalStatus]?: string };
}

/** How far the erasure of old runs has come. */
export interface RetentionNote {
  /** Ms since the epoch: nothing is to be done before. */
  dueAtMs: number;
  /** The pass goes on behind this job; null: the next one begins at the first job. */
  after: string | null;
  boundaries: Boundaries;
}

/** The note; undefined for a home that has not erased anything yet. */
export async function readRetention({ table }: Ledger): Promise<RetentionNote | undefined> {
  const item = await table.get(retentionKey);
  if (item === undefined) return undefined;
  const { dueAtMs, after, boundaries } = item as unknown as RetentionNote;
  return { dueAtMs, after, boundaries };
}

/**
 * Notes how far it has come.
 *
 * The race that it wins: one that stood still for longer than its lease must not set back those that came after it.
 * @throws LeaseLostError when the lease belongs to somebody else.
 */
export async function noteRetention({ table }: Ledger, lease: Lease, note: RetentionNote): Promise<void> {
  const change: Change = { kind: "put", item: { ...retentionKey, ...note } };
  try {
    await table.commit([lease.fence, change]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new LeaseLostError("the erasure of old runs belongs to somebody else");
  }
}

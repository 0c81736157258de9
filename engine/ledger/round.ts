import { type Change, ConflictError } from "../ports/table.ts";
import { roundKey } from "./keys.ts";
import { type Lease, LeaseLostError } from "./lease.ts";
import type { Ledger } from "./ledger.ts";

/** What the sweeps of a round have seen of a runtime together. */
export interface RoundLook {
  /** When the first of their looks began, ms since the epoch. */
  beganAtMs: number;
  /** Every one of them was read to its end. */
  complete: boolean;
  alive: number;
  doubtful: number;
}

/** How far a round has come: one or more sweeps that together look at every active job once, in the order of their ids. */
export interface Round {
  /** The next sweep begins behind this job. */
  after: string;
  /** Jobs looked at so far. */
  looked: number;
  /** Jobs up to `after` that nobody has looked at: a sweep died among them. */
  gap: boolean;
  /** By runtime. */
  looks: Record<string, RoundLook>;
}

/** The round that a sweep has left unfinished; undefined when the next one begins at the first job. */
export async function readRound({ table }: Ledger): Promise<Round | undefined> {
  const item = await table.get(roundKey);
  if (item === undefined) return undefined;
  const { after, looked, gap, looks } = item as unknown as Round;
  return { after, looked, gap, looks };
}

/**
 * Notes how far the round has come; null: it is over.
 *
 * The race that it wins: a sweep that stood still for longer than its lease must not set back, or end, the round of those
 * that came after it.
 * @throws LeaseLostError when the lease belongs to somebody else.
 */
export async function noteRound({ table }: Ledger, lease: Lease, round: Round | null): Promise<void> {
  const change: Change =
    round === null ? { kind: "delete", key: roundKey } : { kind: "put", item: { ...roundKey, ...round } };
  try {
    await table.commit([lease.fence, change]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new LeaseLostError("the round belongs to somebody else");
  }
}

import { mintLeaseOwner } from "../ids.ts";
import { type Change, ConflictError, type Item } from "../ports/table.ts";
import { leaseKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

/** How long a lease holds that is not renewed, ms: what an owner that died costs at most. */
export const LEASE_MS = 60_000;
/** Renewed when so much of it is over, ms: one that is slow has the rest of the time for it. */
const RENEW_AFTER_MS = LEASE_MS / 3;

/** Somebody else has the lease, or it was broken: its duty is theirs. */
export class LeaseLostError extends Error {
  override name = "LeaseLostError";
}

/** The right of one process to do a duty, as long as it goes on asking for it. */
export interface Lease {
  /**
   * Renews the lease when it is time to; to be called before every step of the duty.
   * @throws LeaseLostError when it belongs to somebody else.
   */
  hold(): Promise<void>;
  /** Part of a commit that only the owner may do: it is a conflict once the lease belongs to somebody else. */
  readonly fence: Change;
  /** Gives it back, so that the next one need not wait for its end. One that was lost is left alone. */
  release(): Promise<void>;
}

/**
 * Takes the lease of a duty; null while somebody else has it.
 *
 * The race that it wins: several ask at once for a lease that is free or over. Each writes only over what it has read,
 * so that one of them gets it. It does not win over a process that stands still for longer than the lease and then does
 * one more step before it asks again: each step of a duty must be harmless then, by a condition of its own.
 */
export async function takeLease(ledger: Ledger, duty: string): Promise<Lease | null> {
  const { table, clock } = ledger;
  const key = leaseKey(duty);
  const before = await table.get(key);
  if (before !== undefined && Number(before.expiresAtMs) > clock()) return null;
  const owner = mintLeaseOwner(clock());
  const item: Item = { ...key, owner, expiresAtMs: clock() + LEASE_MS };
  const seen = { owner: String(before?.owner), expiresAtMs: Number(before?.expiresAtMs) };
  const guard = before === undefined ? { exists: false } : { equals: seen };
  if (!(await commits(ledger, { kind: "put", item, guard }))) return null;

  let renewAtMs = clock() + RENEW_AFTER_MS;
  const own = { equals: { owner } };
  return {
    fence: { kind: "check", key, guard: own },
    async hold() {
      const nowMs = clock();
      if (nowMs < renewAtMs) return;
      const set = { expiresAtMs: nowMs + LEASE_MS };
      if (!(await commits(ledger, { kind: "patch", key, set, guard: own }))) {
        throw new LeaseLostError(`the lease of ${duty} belongs to somebody else`);
      }
      renewAtMs = nowMs + RENEW_AFTER_MS;
    },
    async release() {
      await commits(ledger, { kind: "delete", key, guard: own });
    },
  };
}

/** Ends whoever's lease it is: for a home that knows, by the lock of its data, that its owner is dead. */
export async function breakLease({ table }: Ledger, duty: string): Promise<void> {
  await table.commit([{ kind: "delete", key: leaseKey(duty) }]);
}

async function commits({ table }: Ledger, change: Change): Promise<boolean> {
  try {
    await table.commit([change]);
    return true;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return false;
  }
}

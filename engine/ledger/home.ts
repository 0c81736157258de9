import { mintHomeId } from "../ids.ts";
import { ConflictError } from "../ports/table.ts";
import { homeKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

export interface HomeRecord {
  homeId: string;
  createdAt: string;
}

/** The home's own record, minted once. The race that it wins: two first starts at once agree on one id. */
export async function openHomeRecord({ table, clock }: Ledger): Promise<HomeRecord> {
  const existing = await table.get(homeKey);
  if (existing !== undefined) return { homeId: String(existing.homeId), createdAt: String(existing.createdAt) };
  const record = { homeId: mintHomeId(clock()), createdAt: new Date(clock()).toISOString() };
  try {
    await table.commit([{ kind: "put", item: { ...homeKey, ...record }, guard: { exists: false } }]);
    return record;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const [winner] = error.items;
    return { homeId: String(winner?.homeId), createdAt: String(winner?.createdAt) };
  }
}

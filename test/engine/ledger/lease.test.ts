import { afterEach, beforeEach, expect, test } from "vitest";
import { breakLease, LEASE_MS, type Lease, LeaseLostError, takeLease } from "../../../engine/ledger/lease.ts";
import { CrashError, createFaultyTable, type FaultyTable } from "../../lab/faulty-table.ts";
import { openLedger, type TestLedger } from "./fixtures.ts";

let ledger: TestLedger;
let table: FaultyTable;
beforeEach(() => {
  ledger = openLedger({
    wrap: (inner) => {
      table = createFaultyTable(inner);
      return table;
    },
  });
});
afterEach(() => ledger.sqlite.close());

const DUTY = "sweeping";
const take = () => takeLease(ledger, DUTY);
async function taken(): Promise<Lease> {
  const lease = await take();
  if (lease === null) throw new Error("somebody else has the lease");
  return lease;
}

test("one of many that ask at once gets it", async () => {
  for (const over of [0, LEASE_MS]) {
    ledger.nowMs += over;
    const leases = await Promise.all(Array.from({ length: 20 }, take));
    expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
  }
});

test("it keeps others out until its last millisecond, and not longer", async () => {
  await taken();
  ledger.nowMs += LEASE_MS - 1;
  expect(await take()).toBeNull();
  ledger.nowMs += 1;
  await taken();
});

test("it is another duty's own", async () => {
  await taken();
  expect(await takeLease(ledger, "another")).not.toBeNull();
});

test("whoever goes on holding it keeps it, without a write at each step", async () => {
  const lease = await taken();
  const before = table.commits();
  for (let n = 0; n < 100; n++) {
    ledger.nowMs += LEASE_MS / 10;
    await lease.hold();
    expect(await take()).toBeNull();
  }
  // Every fourth step is the first after a third of the time.
  expect(table.commits() - before).toBe(25);
});

test("who stood still for too long has lost it, and does not take it away again", async () => {
  const first = await taken();
  ledger.nowMs += LEASE_MS;
  const second = await taken();
  await expect(first.hold()).rejects.toBeInstanceOf(LeaseLostError);
  await first.release();
  expect(await take()).toBeNull();
  await second.hold();
});

test("who stood still for too long and was not missed goes on", async () => {
  const lease = await taken();
  ledger.nowMs += 10 * LEASE_MS;
  await lease.hold();
  expect(await take()).toBeNull();
});

test("it is free again once it is given back, and giving it back twice takes it from nobody", async () => {
  const first = await taken();
  await first.release();
  await taken();
  await first.release();
  expect(await take()).toBeNull();
});

test("an owner that renews at the same moment as another takes over: one of them has it", async () => {
  const first = await taken();
  ledger.nowMs += LEASE_MS;
  const [renewed, second] = await Promise.allSettled([first.hold(), take()]);
  expect([renewed?.status, second?.status === "fulfilled" && second.value !== null]).toEqual(["fulfilled", false]);
});

test("an owner that dies with it, at any of its writes, costs its time and no more", async () => {
  for (const when of ["before", "after"] as const) {
    table.crashAt(1, when);
    await expect(take()).rejects.toBeInstanceOf(CrashError);
    table.revive();
    ledger.nowMs += LEASE_MS;
    const lease = await taken();
    table.crashAt(1, when);
    await expect(lease.release()).rejects.toBeInstanceOf(CrashError);
    table.revive();
    ledger.nowMs += LEASE_MS;
  }
});

test("it can be broken by whoever knows that its owner is dead", async () => {
  const dead = await taken();
  await breakLease(ledger, DUTY);
  await breakLease(ledger, DUTY);
  await taken();
  ledger.nowMs += LEASE_MS / 2;
  await expect(dead.hold()).rejects.toBeInstanceOf(LeaseLostError);
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openHomeRecord } from "../../../engine/ledger/home.ts";
import { CrashError, createFaultyTable, type FaultyTable } from "../../lab/faulty-table.ts";
import { openLedger, START } from "./fixtures.ts";

test("twenty first starts at once agree on one home", async () => {
  const ledger = openLedger();
  const homes = await Promise.all(Array.from({ length: 20 }, () => openHomeRecord(ledger)));
  expect(new Set(homes.map(({ homeId }) => homeId)).size).toBe(1);
  expect(homes[0]).toEqual({
    homeId: expect.stringMatching(/^home_[0-9A-Z]{26}$/),
    createdAt: new Date(START).toISOString(),
  });
  await ledger.sqlite.close();
});

test("a home is the same at every later start", async () => {
  const directory = await mkdtemp(join(tmpdir(), "longshore-home-"));
  try {
    const file = join(directory, "ledger.db");
    const first = openLedger({ file });
    const home = await openHomeRecord(first);
    await first.sqlite.close();
    const later = openLedger({ file });
    later.nowMs += 86_400_000;
    expect(await openHomeRecord(later)).toEqual(home);
    await later.sqlite.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a first start that died in its commit leaves one home or none", async () => {
  for (const when of ["before", "after"] as const) {
    let faulty: FaultyTable | undefined;
    const ledger = openLedger({
      wrap: (table) => {
        faulty = createFaultyTable(table);
        return faulty;
      },
    });
    faulty?.crashAt(1, when);
    await expect(openHomeRecord(ledger)).rejects.toThrow(CrashError);
    faulty?.revive();
    ledger.nowMs += 5_000;
    const home = await openHomeRecord(ledger);
    expect(home.createdAt).toBe(new Date(START + (when === "after" ? 0 : 5_000)).toISOString());
    expect(await openHomeRecord(ledger)).toEqual(home);
    await ledger.sqlite.close();
  }
});

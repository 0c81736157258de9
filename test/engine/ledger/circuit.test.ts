import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type CircuitNews, COOL_DOWN_MS, circuitState, UNTRIED } from "../../../engine/circuit.ts";
import { readCircuit, tellCircuit } from "../../../engine/ledger/circuit.ts";
import type { Change, Table } from "../../../engine/ports/table.ts";
import { openLedger, START, type TestLedger } from "./fixtures.ts";

const opened: TestLedger[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const { sqlite } of opened.splice(0)) await sqlite.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A ledger that counts its commits; with a file, a later one goes on where it ended. */
function ledgerOf(file?: string) {
  const commits: Change[][] = [];
  const wrap = (table: Table): Table => ({
    get: (key) => table.get(key),
    query: (query) => table.query(query),
    close: () => table.close(),
    async commit(changes) {
      await table.commit(changes);
      commits.push(changes);
    },
  });
  const ledger = openLedger(file === undefined ? { wrap } : { file, wrap });
  opened.push(ledger);
  return { ledger, commits };
}

const silent = (n: number, beganMs = START): CircuitNews => ({
  type: "SILENT",
  call: `call-${n}`,
  beganMs,
  message: `away ${n}`,
});
const answered = (beganMs = START): CircuitNews => ({ type: "ANSWERED", to: "launch", beganMs });

describe("the circuit of a runtime", () => {
  test("is closed as long as nothing was heard of it", async () => {
    const { ledger } = ledgerOf();
    expect(await readCircuit(ledger, "docker")).toBe(UNTRIED);
  });

  test("costs no write while every launch is answered", async () => {
    const { ledger, commits } = ledgerOf();
    for (let n = 0; n < 20; n++) await tellCircuit(ledger, "docker", answered());
    expect(commits).toEqual([]);
  });

  test("outlives the process, and is each runtime's own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "longshore-circuit-"));
    folders.push(folder);
    const file = join(folder, "ledger.db");
    const { ledger } = ledgerOf(file);
    for (const n of [1, 2, 3]) await tellCircuit(ledger, "docker", silent(n));
    for (const one of opened.splice(0)) await one.sqlite.close();
    const next = ledgerOf(file).ledger;
    expect(await readCircuit(next, "docker")).toMatchObject({ state: "open", message: "away 3", openedMs: START });
    expect(await readCircuit(next, "process")).toBe(UNTRIED);
  });

  test("is opened once by twenty failures at once, told by two writers", async () => {
    const { ledger, commits } = ledgerOf();
    // A clock of its own, as another process has.
    const other = { ...ledger, clock: () => START };
    const told = await Promise.all(
      Array.from({ length: 20 }, (_, n) => tellCircuit(n % 2 === 0 ? ledger : other, "docker", silent(n))),
    );
    expect(await readCircuit(ledger, "docker")).toMatchObject({
      state: "open",
      coolDownMs: COOL_DOWN_MS,
      untilMs: START + COOL_DOWN_MS,
    });
    expect(told.filter(({ before, after }) => before.state === "closed" && after.state === "open")).toHaveLength(1);
    // Two that count, the third that opens; the others change nothing.
    expect(commits).toHaveLength(3);
  });

  test("counts a failure once that is told several times at once", async () => {
    const { ledger } = ledgerOf();
    await Promise.all([1, 1, 2, 2, 1].map((n) => tellCircuit(ledger, "docker", silent(n))));
    expect(await readCircuit(ledger, "docker")).toMatchObject({ state: "closed", silent: [{}, {}] });
  });

  test("is closed or opened again, not both, when a good and a bad try meet", async () => {
    for (let round = 0; round < 10; round++) {
      const { ledger } = ledgerOf();
      for (const n of [1, 2, 3]) await tellCircuit(ledger, "docker", silent(n));
      ledger.nowMs += COOL_DOWN_MS;
      const beganMs = ledger.nowMs;
      ledger.nowMs += 1;
      const tries = [answered(beganMs), silent(4, beganMs)];
      await Promise.all((round % 2 === 0 ? tries : tries.reverse()).map((one) => tellCircuit(ledger, "docker", one)));
      const record = await readCircuit(ledger, "docker");
      // Whichever came first: the other one began before that, and is late.
      expect(circuitState(record, ledger.nowMs)).toBe(round % 2 === 0 ? "closed" : "open");
      expect(record.changedMs).toBe(ledger.nowMs);
    }
  });
});

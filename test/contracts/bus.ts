import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus, BusEntry } from "../../engine/ports/bus.ts";

export interface BusUnderTest {
  bus: Bus;
  /** Adds a consumer of everything published from now on; resolves when it listens. */
  subscribe(handler: (entry: BusEntry) => Promise<void>): Promise<void>;
  /** Resolves when everything that was published has been handed to the consumers. */
  settled(): Promise<void>;
  end(): Promise<void>;
}

export const entry = (job: string, seq: number): BusEntry => ({
  id: `${job}#${seq}`,
  source: "longshore",
  detailType: "Job Started",
  detail: { data: { jobId: job, seq, text: "ü \u{1F600}" } },
});

/** What every bus must do. `make` gives a bus without consumers. */
export function busContract(name: string, make: () => Promise<BusUnderTest>): void {
  describe(`bus contract: ${name}`, () => {
    let under: BusUnderTest;
    beforeEach(async () => {
      under = await make();
    });
    afterEach(async () => {
      await under.end();
    });

    it("takes entries when nobody listens, and no entry at all", async () => {
      expect(await under.bus.publish([entry("job_a", 1)])).toEqual({ failed: [] });
      expect(await under.bus.publish([])).toEqual({ failed: [] });
    });

    it("hands every entry, whole, to every consumer", async () => {
      const seen: BusEntry[][] = [[], []];
      for (const list of seen) await under.subscribe(async (one) => void list.push(one));
      const entries = [entry("job_a", 1), entry("job_b", 1), entry("job_a", 2), entry("job_c", 1)];
      expect(await under.bus.publish(entries)).toEqual({ failed: [] });
      await under.settled();
      for (const list of seen) {
        const byId = new Map(list.map((one) => [one.id, one]));
        expect(entries.map(({ id }) => byId.get(id))).toEqual(entries);
        expect(byId.size).toBe(entries.length);
      }
    });

    it("takes 250 entries in one call", async () => {
      const seen = new Set<string>();
      await under.subscribe(async ({ id }) => void seen.add(id));
      const entries = Array.from({ length: 250 }, (_, n) => entry(`job_${n % 7}`, n));
      expect(await under.bus.publish(entries)).toEqual({ failed: [] });
      await under.settled();
      expect(entries.filter(({ id }) => !seen.has(id))).toEqual([]);
    });

    it("takes an entry twice: a publisher that is not sure publishes again", async () => {
      const seen: string[] = [];
      await under.subscribe(async ({ id }) => void seen.push(id));
      expect(await under.bus.publish([entry("job_a", 1)])).toEqual({ failed: [] });
      expect(await under.bus.publish([entry("job_a", 1), entry("job_a", 2)])).toEqual({ failed: [] });
      await under.settled();
      expect([...new Set(seen)].toSorted()).toEqual(["job_a#1", "job_a#2"]);
    });
  });
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { labSettings } from "../lab/aws.ts";
import { type Count, type CountedHome, openCountedHome } from "../lab/counted-home.ts";
import { describeWith } from "../lab/counterparts.ts";
import { total } from "../lab/meter.ts";
import { type IndexShape, indexUnits, sizeOf, tableUnits } from "../lab/write-units.ts";
import { synthesize } from "./template.ts";

const DAY_SECONDS = 24 * 3600;

let folder: string;
let home: CountedHome;

describeWith(["dynamodb", "aws"], "what a job costs", () => {
  let second: Count;
  let day: Count;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "longshore-counts-"));
    const made = synthesize({ runtimes: "stub" }, { outdir: folder });
    const [dynamodb, aws] = await Promise.all([labSettings("dynamodb"), labSettings("aws")]);
    home = await openCountedHome({ endpoints: { dynamodb: dynamodb.endpoint, aws: aws.endpoint }, made });
    second = await home.count({ jobs: 1, runSeconds: 1, apart: false });
    day = await home.count({ jobs: 1, runSeconds: DAY_SECONDS, apart: false });
  }, 150_000);
  afterAll(async () => {
    await home?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it("enters two states", () => {
    expect([second.transitions, day.transitions]).toEqual([2, 2]);
  });

  it("writes no more than 60 units, and no item of a typical job begins a second KiB", () => {
    expect(second.writes).toEqual({
      ...{ job: 14, event: 14, attempt: 4, spec: 2, sealed: 4 },
      ...{ queue: 4, drain: 2, lanes: 6, slots: 4 },
      ...{ index1: 1, index2: 4 },
    });
    expect(total(second.writes)).toBeLessThanOrEqual(60);
    expect(Object.entries(second.largest).filter(([, bytes]) => bytes > 1024)).toEqual([]);
  });

  it("writes four units more when its start takes a while, for the progress that is shown then", async () => {
    const slow = await home.count({ jobs: 1, runSeconds: 1, apart: true });
    expect(total(slow.writes)).toBe(total(second.writes) + 4);
    expect(slow.transitions).toBe(2);
  });

  it("wakes no more than eight functions alone", () => {
    expect(day.invocations).toEqual({
      ...{ Submit: 1, ChangeFeed: 2, Dispatch: 1, RuntimeEvents: 1, Finalize: 1, Publish: 2 },
    });
  });

  it("wakes no more than five functions as one of a hundred in flight, by the deployed batches and windows", async () => {
    const hundred = await home.count({ jobs: 100, runSeconds: 600, apart: false, units: false });
    expect(hundred.transitions).toBe(200);
    expect(hundred.events).toBe(100 * second.events);
    expect(total(hundred.invocations) / 100).toBeLessThanOrEqual(5);
    expect(hundred.invocations).toMatchObject({ Submit: 100, Dispatch: 100, RuntimeEvents: 100, Finalize: 100 });
  }, 120_000);

  it("asks for the same for a job of a day as for one of a second", () => {
    // A second is shorter than the window in which events for the bus are gathered: its last ones leave with the first.
    const { Publish: once, ...ofSecond } = second.invocations;
    const { Publish: twice, ...ofDay } = day.invocations;
    expect([once, twice]).toEqual([1, 2]);
    expect(ofDay).toEqual(ofSecond);
    const { PutEvents: puts, ...calls } = second.calls;
    const { PutEvents: putsOfDay, ...callsOfDay } = day.calls;
    expect([puts, putsOfDay]).toEqual([2, 2]);
    // Of what is published one read asks for the job's labels, an invocation.
    expect({ ...callsOfDay, GetItem: (callsOfDay.GetItem ?? 0) - 1 }).toEqual(calls);
    expect([day.writes, day.reads, day.events]).toEqual([second.writes, second.reads + 1, second.events]);
  });

  it("puts one object for the record of its run, and its log if that has an object", () => {
    expect([1, 2]).toContain(second.calls.PutObject);
  });

  it("is erased with as many writes as it has items, and no more", async () => {
    await home.count({ jobs: 1, runSeconds: 1, apart: false, units: false });
    const erased = await home.erase();
    expect(erased.jobs).toBeGreaterThan(0);
    expect(total(erased.writes) / erased.jobs).toBeLessThanOrEqual(24);
    expect(await home.erase()).toMatchObject({ jobs: 0, writes: {} });
  });

  it("is swept with reads in proportion to what runs, and no write for a job", async () => {
    const [few, many] = [await home.sweep(1), await home.sweep(21)];
    expect(many.writes).toEqual(few.writes);
    // Its entry in the index with the others', its record, and what the repair of a job reads again.
    expect((many.reads - few.reads) / 20).toBeLessThanOrEqual(3);
  }, 60_000);
});

describe("the units of a write", () => {
  const text = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, S]) => [name, { S }]));
  const keysOnly: IndexShape = { name: "i", pk: "ipk", sk: "isk", projection: "KEYS_ONLY" };
  const whole: IndexShape = { ...keysOnly, projection: "ALL" };
  const item = { pk: "a", sk: "b", ipk: "c", isk: "d", more: "x" };

  it("are two for each KiB, of what was there if that was more, and of nothing", () => {
    const large = text({ pk: "a", sk: "b", x: "x".repeat(1100) });
    expect(sizeOf(text({ pk: "a", sk: "bc" }))).toBe(7);
    expect(sizeOf({ n: { N: "-12.5" }, b: { BOOL: true }, m: { M: { json: { S: "{}" } } } })).toBe(4 + 2 + 11);
    expect([tableUnits(undefined, undefined), tableUnits(undefined, text(item))]).toEqual([2, 2]);
    expect([tableUnits(large, text(item)), tableUnits(text(item), large)]).toEqual([4, 4]);
  });

  it("are one for an index's entry, two for one that moves, none for one that stays as it is", () => {
    const units = (index: IndexShape, before?: Record<string, string>, after?: Record<string, string>) =>
      indexUnits(index, before && text(before), after && text(after));
    expect([units(keysOnly, undefined, item), units(keysOnly, item), units(keysOnly, { pk: "a", sk: "b" })]).toEqual([
      ...[1, 1, 0],
    ]);
    expect(units(keysOnly, item, { ...item, isk: "e" })).toBe(2);
    expect([units(keysOnly, item, { ...item, more: "y" }), units(whole, item, { ...item, more: "y" })]).toEqual([0, 1]);
    expect(units(whole, item, { ...item })).toBe(0);
  });
});

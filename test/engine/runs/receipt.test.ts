import { readFile } from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobId } from "../../../engine/ids.ts";
import { readRun, receiptOf } from "../../../engine/operations/run-record.ts";
import { renderRun } from "../../../engine/runs/files.ts";
import { type RunReceipt, receiptJsonSchema } from "../../../engine/runs/receipt.ts";
import { eventsOf, openWorld, submitted, type World } from "../operations/world.ts";
import { ENDS } from "./ended.ts";

const PUBLISHED = new URL("../../../docs/schemas/run-receipt.v1.json", import.meta.url);

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.dispose());

async function receiptFor(jobId: string): Promise<RunReceipt> {
  const job = await readRun(world.ctx, jobId as JobId);
  if (job === undefined) throw new Error("it is not finished");
  return await receiptOf(world.ctx, job);
}

it("the published schema is the one that receipts are made by", async () => {
  expect(JSON.parse(await readFile(PUBLISHED, "utf8"))).toEqual(receiptJsonSchema());
});

describe("the receipt", () => {
  const validate = async () => {
    // The format of a time stands beside its pattern; a validator need not know it.
    const ajv = new Ajv2020({ allErrors: true, validateFormats: false });
    return ajv.compile(JSON.parse(await readFile(PUBLISHED, "utf8")));
  };

  it.each(Object.entries(ENDS))("of %s is what the published schema says, and tells every event", async (_, end) => {
    const jobId = await end(world);
    const receipt = await receiptFor(jobId);
    const isValid = await validate();
    expect(isValid(JSON.parse(renderRun(receipt, "run_receipt.json"))), JSON.stringify(isValid.errors)).toBe(true);
    expect(Object.keys(receipt).sort()).toEqual(Object.keys(receiptJsonSchema().properties as object).sort());
    const events = await eventsOf(world, jobId);
    expect(receipt.events.map(({ seq, type }) => [seq, type])).toEqual(events.map(({ seq, type }) => [seq, type]));
    const lines = renderRun(receipt, "events.jsonl").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(receipt.events);
    expect(await receiptFor(jobId)).toEqual(receipt);
  });

  it("without what it must have, or with what cannot be, is refused", async () => {
    const isValid = await validate();
    const receipt = await receiptFor((await ENDS["one that failed"]?.(world)) as string);
    const { specHash: _, ...less } = receipt;
    for (const wrong of [less, { ...receipt, status: "RUNNING" }, { ...receipt, finishedAt: "yesterday" }]) {
      expect(isValid(wrong)).toBe(false);
    }
  });

  it("says what became of the attempts, and what was written last where it did not go well", async () => {
    const receipt = await receiptFor((await ENDS["one that failed after a retry"]?.(world)) as string);
    expect(receipt).toMatchObject({
      status: "FAILED",
      exitCode: 3,
      maxAttempts: 2,
      logs: { lines: 4, truncated: false },
    });
    expect(receipt.attempts.map(({ attempt, exitCode }) => [attempt, exitCode])).toEqual([
      [1, 3],
      [2, 3],
    ]);
    expect(receipt.logs.tail.map(({ text, attempt }) => [text, attempt])).toEqual([
      ["one", 2],
      ["two", 2],
    ]);
    expect(receipt.deadLetterId).toBe(receipt.jobId.replace("job_", "dl_"));
    const well = await receiptFor((await ENDS["one that succeeded"]?.(world)) as string);
    expect(well).toMatchObject({ status: "SUCCEEDED", deadLetterId: null, logs: { lines: 1, tail: [] } });
  });

  it("is not there while a job is not finished", async () => {
    const jobId = await submitted(world);
    expect(await readRun(world.ctx, jobId)).toBeUndefined();
  });
});

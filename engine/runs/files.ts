import type { JobId } from "../ids.ts";
import type { RunReceipt } from "./receipt.ts";
import { summaryOf } from "./summary.ts";

/** The forms of a run's record, by the names of its files. */
export const RUN_FILES = ["run_receipt.json", "summary.md", "events.jsonl"] as const;
export type RunFile = (typeof RUN_FILES)[number];

/** Where a form of a job's record is in the object store. */
export const runObject = (jobId: JobId | string, file: RunFile) => `runs/${jobId}/${file}`;

/** A form of a record, as text: the same receipt always gives the same. */
export function renderRun(receipt: RunReceipt, file: RunFile): string {
  if (file === "summary.md") return summaryOf(receipt);
  if (file === "events.jsonl") return receipt.events.map((event) => `${JSON.stringify(event)}\n`).join("");
  return `${JSON.stringify(receipt, null, 2)}\n`;
}

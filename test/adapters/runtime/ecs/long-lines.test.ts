import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { describe, expect, it } from "vitest";
import { readStream, type Stream } from "../../../../adapters/runtime/ecs/logs.ts";

const FULL = 262_118;

/** A log of these pages, read to its end; no emulator cuts lines as the awslogs driver does. */
async function read(pages: string[][], after = 0) {
  let at = 0;
  const send = async () => {
    const messages = pages[at] ?? [];
    at = Math.min(at + 1, pages.length);
    return { events: messages.map((message) => ({ timestamp: 0, message })), nextForwardToken: String(at) };
  };
  const stream: Stream = {
    client: { send } as unknown as CloudWatchLogsClient,
    ...{ logGroup: "g", logStream: "s", pollMs: 1 },
    isComplete: async () => at === pages.length,
    closing: new AbortController().signal,
  };
  const batches = await Array.fromAsync(readStream(stream, { follow: true, after }));
  for (const batch of batches) expect(batch).not.toHaveLength(0);
  return batches.flat().map(({ n, text, around }) => ({ n, text: text.slice(0, 5), around }));
}

describe("a line that the driver has cut", () => {
  const [first, second] = ["a".repeat(FULL), "é".repeat(FULL / 2)];

  it.each([
    { how: "on one page", pages: [["start", first, second, "rest", "next"]] },
    { how: "on several pages", pages: [["start", first], [], [second], ["rest", "next"]] },
  ])("$how has its pieces with what stands around them", async ({ pages }) => {
    const wanted = [
      { n: 1, text: "start", around: undefined },
      { n: 2, text: "aaaaa", around: { before: "", after: second } },
      { n: 3, text: "ééééé", around: { before: first, after: "rest" } },
      { n: 4, text: "rest", around: { before: second, after: "" } },
      { n: 5, text: "next", around: undefined },
    ];
    expect(await read(pages)).toEqual(wanted);
    expect(await read(pages, 2)).toEqual(wanted.slice(2));
  });

  it("and whose rest never came is there all the same", async () => {
    expect(await read([["start", first]])).toEqual([
      { n: 1, text: "start", around: undefined },
      { n: 2, text: "aaaaa", around: { before: "", after: "" } },
    ]);
  });
});

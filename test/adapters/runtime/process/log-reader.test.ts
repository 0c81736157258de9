import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openLogReader } from "../../../../adapters/runtime/process/log-reader.ts";
import type { RuntimeLine } from "../../../../engine/ports/runtime.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "log-reader-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function read(bytes: string | Uint8Array, after = 0): Promise<RuntimeLine[]> {
  const path = join(directory, "log");
  await writeFile(path, bytes);
  const reader = await openLogReader(path, after);
  if (reader === undefined) throw new Error("there is no log");
  try {
    return (await Array.fromAsync(reader.more())).flat();
  } finally {
    await reader.close();
  }
}

const DAMAGED = "this line of the log is damaged and could not be read";
const AT = 1_772_600_768_000;
const TIME = new Date(AT).toISOString();

describe("a damaged log of a process", () => {
  test.each([
    ["zeros that a loss of power left", "\0".repeat(5000)],
    ["text that is none of the supervisor's", "garbage"],
    ["an unknown stream", `x${AT} text`],
    ["no time", "o text"],
    ["a time that is none", "oyesterday text"],
    ["a time that no clock shows", "o9999999999999999999 text"],
    ["no space", `o${AT}`],
    ["nothing", ""],
  ])("with %s in the place of a line ended every reading: the job was never finished", async (_, damage) => {
    const log = `o${AT} one\n${damage}\ne${AT + 1} three\n`;
    const lines = await read(log);
    expect(lines).toEqual([
      { n: 1, time: TIME, stream: "stdout", text: "one" },
      { n: 2, time: TIME, stream: "system", text: DAMAGED },
      { n: 3, time: new Date(AT + 1).toISOString(), stream: "stderr", text: "three" },
    ]);
    expect((await read(log, 1)).map(({ n, stream }) => [n, stream])).toEqual([
      [2, "system"],
      [3, "stderr"],
    ]);
    expect(await read(log, 2)).toEqual(lines.slice(2));
  });

  test("that is damaged from its first line on has times all the same", async () => {
    const [line] = await read("\0\0\n");
    expect(line).toMatchObject({ n: 1, stream: "system", text: DAMAGED });
    expect(new Date(line?.time ?? "").toISOString()).toBe(line?.time);
  });

  test("that the system cannot read says its code and no path", async () => {
    const path = join(directory, "log");
    await mkdir(path);
    const reading = openLogReader(path, 0).then(async (reader) => {
      try {
        return await Array.fromAsync(reader?.more() ?? []);
      } finally {
        await reader?.close();
      }
    });
    await expect(reading).rejects.toMatchObject({
      code: "UNKNOWN",
      providerCode: "EISDIR",
      message: "process: the log cannot be read (EISDIR)",
    });
  });

  test("that is not there is no log", async () => {
    expect(await openLogReader(join(directory, "none"), 0)).toBeUndefined();
  });
});

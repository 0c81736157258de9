import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLogFile } from "../../../../adapters/runtime/process/log-file.ts";
import { openLogReader } from "../../../../adapters/runtime/process/log-reader.ts";
import { isDiskShut, persistently, readRecord, writeOnce } from "../../../../adapters/runtime/process/records.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { mountSmallDisk, type SmallDisk } from "../../../lab/small-disk.ts";

/** Of ext4, unless the disk is larger than these are. A log of one block has no room left in it. */
const BLOCK_BYTES = 4_096;

describeWith("disk", "the files of an attempt on a full disk", () => {
  let disk: SmallDisk;

  beforeEach(async () => {
    disk = await mountSmallDisk(4);
  });
  afterEach(async () => {
    await disk.dispose();
  });

  function failure(work: () => void): unknown {
    try {
      work();
    } catch (error) {
      return error;
    }
    return null;
  }

  it("keeps the log's lines, drops what does not fit, and says so before it is closed", async () => {
    const path = join(disk.path, "log");
    const log = openLogFile(path, 10_000_000, () => 5);
    log.append("stdout", ["first", "y".repeat(BLOCK_BYTES - "o5 first\no5 \n".length)]);
    expect(statSync(path).size).toBe(BLOCK_BYTES);
    disk.fill();
    log.append("stdout", ["lost"]);
    expect(isDiskShut(failure(() => log.close()))).toBe(true);
    disk.free();
    log.append("stdout", ["lost, since what was before it is"]);
    log.close();
    log.close();
    const reader = await openLogReader(path, 0);
    if (reader === undefined) throw new Error("there is no log");
    const lines = (await Array.fromAsync(reader.more())).flat();
    await reader.close();
    expect(lines.map(({ n, stream }) => [n, stream])).toEqual([
      [1, "stdout"],
      [2, "stdout"],
      [3, "system"],
    ]);
    expect(lines[0]?.text).toBe("first");
    expect(lines[2]?.text).toContain("the disk was full");
  });

  it("makes a record whole or not at all, and leaves nothing beside it", async () => {
    const path = join(disk.path, "exit.json");
    const record = { finishedAt: "2026-01-01T00:00:00.000Z" };
    disk.fill();
    expect(isDiskShut(failure(() => writeOnce(path, record)))).toBe(true);
    expect(readdirSync(disk.path).toSorted()).toEqual(["filler", "lost+found"]);
    let tries = 0;
    const written = persistently(() => {
      tries += 1;
      if (tries === 2) disk.free();
      writeOnce(path, record);
    });
    await written;
    expect(tries).toBe(2);
    expect(readRecord(path)).toEqual(record);
  });

  it("does not try again what cannot go well", async () => {
    await expect(persistently(() => writeOnce(join(disk.path, "gone", "exit.json"), {}))).rejects.toMatchObject({
      code: "ENOENT",
    });
  });
});

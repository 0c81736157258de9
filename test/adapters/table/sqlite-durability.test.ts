import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSqliteTable } from "../../../adapters/table/sqlite/index.ts";
import { acquireHomeLock } from "../../../adapters/table/sqlite/lock.ts";
import { ConflictError, type FeedRecord } from "../../../engine/ports/table.ts";

const here = import.meta.dirname;

/** Only root can mount, and not in every sandbox. */
function canMount(): boolean {
  const probe = "d=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs $d && umount $d; code=$?; rmdir $d; exit $code";
  return execaSync("sh", ["-c", probe], { reject: false }).exitCode === 0;
}

describe("the SQLite table on a bad day", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-durable-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("has every acknowledged commit, with its feed record, after kill -9", async () => {
    const file = join(directory, "ledger.db");
    const child = spawn(process.execPath, [join(here, "committer.ts"), file], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const acknowledged: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 300) child.kill("SIGKILL");
    }
    expect(await exited).toEqual([null, "SIGKILL"]);

    const table = createSqliteTable({ file });
    const records: FeedRecord[] = [];
    for (let page = await table.feed.read(0, 1000); page.length > 0; ) {
      records.push(...page);
      page = await table.feed.read(page.at(-1)!.position, 1000);
    }
    const inFeed = records.map(({ item }) => item.pk);
    expect(new Set(inFeed).size).toBe(inFeed.length);
    expect(acknowledged.filter((pk) => !inFeed.includes(pk))).toEqual([]);
    for (const pk of inFeed) {
      expect((await table.query({ pk })).items.map(({ sk }) => sk)).toEqual(["EVENT#1", "JOB"]);
    }
    await table.commit([{ kind: "put", item: { pk: "later", sk: "EVENT#1" } }]);
    await table.close();
  });

  it("has nothing of commits that an I/O failure took down, conflicts of the same group included, and goes on", async () => {
    const file = join(directory, "ledger.db");
    const table = createSqliteTable({ file });
    await table.commit([{ kind: "put", item: { pk: "a", sk: "1" } }]);
    // The third commit of the group fails in the middle of its writing, after the first has written.
    const other = new DatabaseSync(file);
    other.exec("PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE; DROP TABLE outbox; COMMIT");
    const outcomes = await Promise.allSettled([
      table.commit([{ kind: "put", item: { pk: "a", sk: "2" } }]),
      table.commit([{ kind: "put", item: { pk: "a", sk: "1" }, guard: { exists: false } }]),
      table.commit([{ kind: "put", item: { pk: "a", sk: "EVENT#1" } }]),
    ]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { code: "UNAVAILABLE", providerCode: "SQLITE_ERROR" },
      });
    }
    expect((await table.query({ pk: "a" })).items).toEqual([{ pk: "a", sk: "1" }]);
    other.exec("CREATE TABLE outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL) STRICT");
    other.close();
    await table.commit([{ kind: "put", item: { pk: "a", sk: "EVENT#1" } }]);
    await expect(
      table.commit([{ kind: "put", item: { pk: "a", sk: "1" }, guard: { exists: false } }]),
    ).rejects.toBeInstanceOf(ConflictError);
    expect(await table.feed.read(0, 10)).toHaveLength(1);
    await table.close();
  });

  it("refuses a file that is no database, one in no directory, and one of a newer Longshore, and leaves them alone", async () => {
    const garbage = join(directory, "garbage.db");
    await writeFile(garbage, "not a database at all, however long the text may be".repeat(100));
    expect(() => createSqliteTable({ file: garbage })).toThrow(
      expect.objectContaining({ code: "UNAVAILABLE", providerCode: "SQLITE_NOTADB" }),
    );
    expect(() => createSqliteTable({ file: join(directory, "none", "x.db") })).toThrow(
      expect.objectContaining({ code: "UNAVAILABLE", providerCode: "ENOENT" }),
    );
    const newer = join(directory, "newer.db");
    const database = new DatabaseSync(newer);
    database.exec("PRAGMA user_version = 99");
    database.close();
    const before = await readFile(garbage);
    expect(() => createSqliteTable({ file: newer })).toThrow(/newer Longshore: its schema version is 99/);
    expect(await readFile(garbage)).toEqual(before);
    const after = new DatabaseSync(newer);
    expect(after.prepare("SELECT count(*) AS n FROM sqlite_schema").get()).toEqual({ n: 0 });
    after.close();
  });

  it("lets only its owner read the ledger, its WAL included, and mends a file that is open to others", async () => {
    const file = join(directory, "ledger.db");
    await writeFile(file, "");
    await chmod(file, 0o644);
    const table = createSqliteTable({ file });
    await table.commit([{ kind: "put", item: { pk: "a", sk: "1" } }]);
    const modes = await Promise.all(["", "-wal", "-shm"].map(async (end) => (await stat(file + end)).mode & 0o777));
    expect(modes).toEqual([0o600, 0o600, 0o600]);
    await table.close();
  });
});

const unmountable = canMount() ? {} : { skip: true, meta: { skipReason: "mount: a tmpfs cannot be mounted here" } };

describe("the SQLite table on a file system that fails", unmountable, () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-durable-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("refuses whole groups while the disk is full, and goes on when there is room again", async () => {
    const disk = join(directory, "disk");
    await mkdir(disk);
    await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
    try {
      const table = createSqliteTable({ file: join(disk, "ledger.db") });
      await table.commit([{ kind: "put", item: { pk: "a", sk: "first" } }]);
      await execa("sh", ["-c", `cat /dev/zero > ${disk}/filler`], { reject: false });
      const big = (sk: string): Promise<void> =>
        table.commit([{ kind: "put", item: { pk: "a", sk, text: "x".repeat(64 * 1024) } }]);
      const outcomes = await Promise.allSettled([big("1"), big("EVENT#2"), big("3")]);
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
        if (outcome.status === "rejected") expect(outcome.reason.providerCode).toMatch(/^SQLITE_(FULL|IOERR)$/);
      }
      expect((await table.query({ pk: "a" })).items.map(({ sk }) => sk)).toEqual(["first"]);
      expect(await table.feed.read(0, 10)).toEqual([]);
      await rm(join(disk, "filler"));
      await big("again");
      await table.close();
      const reopened = createSqliteTable({ file: join(disk, "ledger.db") });
      expect((await reopened.query({ pk: "a" })).items.map(({ sk }) => sk)).toEqual(["again", "first"]);
      await reopened.close();
    } finally {
      await execa("umount", [disk]);
    }
  });

  it("says so when the disk cannot be written at all", async () => {
    const disk = join(directory, "disk");
    await mkdir(disk);
    await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
    try {
      const file = join(disk, "ledger.db");
      await createSqliteTable({ file }).close();
      await execa("mount", ["-o", "remount,ro", disk]);
      expect(() => createSqliteTable({ file })).toThrow(
        expect.objectContaining({ code: "UNAVAILABLE", providerCode: expect.stringMatching(/^SQLITE_/) }),
      );
      expect(() => createSqliteTable({ file: join(disk, "new.db") })).toThrow(
        expect.objectContaining({ code: "UNAVAILABLE", providerCode: "EROFS" }),
      );
    } finally {
      await execa("umount", [disk]);
    }
  });
});

describe("the lock of a home", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-lock-"));
    file = join(directory, "home.lock");
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  const holder = async (): Promise<{ said: string; kill(): Promise<void> }> => {
    const child = spawn(process.execPath, [join(here, "lock-holder.ts"), file], { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const [chunk] = await once(child.stdout, "data");
    return {
      said: String(chunk).trim(),
      async kill() {
        child.kill("SIGKILL");
        await exited;
      },
    };
  };

  it("is refused while another process holds it, and free the moment that process is killed", async () => {
    const other = await holder();
    try {
      expect(other.said).toBe("held");
      expect(() => acquireHomeLock(file)).toThrow(
        expect.objectContaining({ code: "CONFLICT", message: "another Longshore process uses this home" }),
      );
    } finally {
      await other.kill();
    }
    const lock = acquireHomeLock(file);
    const late = await holder();
    await late.kill();
    expect(late.said).toBe("CONFLICT");
    lock.release();
  });

  it("is refused to the same process too, until it is released; a second release does no harm", () => {
    const lock = acquireHomeLock(file);
    expect(() => acquireHomeLock(file)).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    lock.release();
    const again = acquireHomeLock(file);
    lock.release();
    expect(() => acquireHomeLock(file)).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    again.release();
  });

  it("says that the file fails, not that it is taken, when it cannot be made", () => {
    expect(() => acquireHomeLock(join(directory, "none", "x"))).toThrow(
      expect.objectContaining({ code: "UNAVAILABLE", providerCode: "ENOENT" }),
    );
  });
});

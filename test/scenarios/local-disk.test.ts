import { watch } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { mountSmallDisk, type SmallDisk } from "../lab/small-disk.ts";
import {
  call,
  ended,
  givesNothingAway,
  logsOf,
  PATIENCE_MS,
  problemOf,
  reached,
  show,
  submit,
  until,
} from "./client.ts";
import type { Job, Page } from "./contract.ts";
import { oneHome } from "./homes.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { processJob, stubJob } from "./runtimes.ts";

interface Health {
  ok: boolean;
  checks: { name: string; ok: boolean; message: string }[];
}

const title = "a home whose data directory has a disk of its own";
const ONLY_LOCAL = "DynamoDB and S3 have no disk of ours that could be full or fail";

describeWith("disk", { title, meta: oneHome("local", ONLY_LOCAL) }, () => {
  let disk: SmallDisk;
  let home: LocalHome;

  beforeEach(async () => {
    disk = await mountSmallDisk(16);
    const env = { LONGSHORE_RECONCILE_SECONDS: "1", LONGSHORE_RUNTIMES: "process,stub" };
    home = await startLocalHome({ data: join(disk.path, "data"), env });
  });
  afterEach(async () => {
    try {
      disk.free();
      await home.dispose();
    } finally {
      await disk.dispose();
    }
  });

  const gate = () => join(home.folder, "gate");
  const open = () => writeFile(gate(), "");
  /** A job that runs until the gate is open. */
  const waiting = (before: string, after: string) =>
    processJob(`${before}; while [ ! -e ${gate()} ]; do sleep 0.05; done; ${after}`);

  /** Opens the gate; resolves when the job has ended and its supervisor has tried, at least once, to say so. */
  async function endOnFullDisk(externalName: string | null): Promise<void> {
    const tried = Promise.withResolvers<void>();
    const watcher = watch(join(home.data, "attempts", externalName ?? "", "record"), (_, file) => {
      if (file?.startsWith("exit.json")) tried.resolve();
    });
    await open();
    await tried.promise;
    watcher.close();
  }

  /** Submits until it is refused; resolves with what was accepted. The disk is filled again after each. */
  async function submitUntilFull(): Promise<string[]> {
    const accepted: string[] = [];
    for (;;) {
      disk.fill();
      const answer = await call<Job>(home, "/jobs", { body: stubJob({ STUB_STDOUT: "x" }) });
      if (answer.status === 202) accepted.push(answer.body.jobId);
      else {
        problemOf(answer, 503, "UNAVAILABLE");
        return accepted;
      }
    }
  }

  async function unhealthy(): Promise<void> {
    await vi.waitFor(
      async () => {
        disk.fill();
        const { status, body, text } = await call<Health>(home, "/health");
        expect(status).toBe(503);
        expect(body.checks.find(({ name }) => name === "table")).toMatchObject({ ok: false });
        givesNothingAway(text);
      },
      { timeout: PATIENCE_MS, interval: 50 },
    );
  }

  async function isSound(jobIds: string[]): Promise<void> {
    await home.end("SIGTERM");
    const ledger = new DatabaseSync(join(home.data, "ledger.db"), { readOnly: true });
    try {
      expect(ledger.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    } finally {
      ledger.close();
    }
    await home.start();
    const stored = await call<Page<Job>>(home, "/jobs?limit=200");
    expect(stored.body.items.map(({ jobId }) => jobId).toSorted()).toEqual(jobIds.toSorted());
  }

  describe("that is full", () => {
    it("refuses with 503, is not healthy, and goes on by itself when there is room", async () => {
      const running = await submit(home, waiting("echo before", "echo after; exit 7"));
      await reached(home, running.jobId, "STARTED");
      const accepted = await submitUntilFull();
      await unhealthy();
      // It ends while nothing can be written: not its log, not its end, not its event.
      await endOnFullDisk((await show(home, running.jobId)).externalName);
      await unhealthy();

      disk.free();
      const job = await ended(home, running.jobId);
      expect(job).toMatchObject({ status: "FAILED", exitCode: 7, error: { category: "USER_CODE" } });
      expect((await logsOf(home, running.jobId))[0]).toMatchObject({ text: "before" });
      for (const jobId of accepted) expect((await ended(home, jobId)).status).toBe("SUCCEEDED");
      expect((await call(home, "/health")).status).toBe(200);
      const later = await submit(home, stubJob());
      await ended(home, later.jobId);
      await isSound([running.jobId, later.jobId, ...accepted]);
    });

    it("keeps what it accepted when it is killed, and takes it up when there is room", async () => {
      const running = await submit(home, waiting("echo before", "echo after"));
      await reached(home, running.jobId, "STARTED");
      const accepted = await submitUntilFull();
      const name = (await show(home, running.jobId)).externalName;
      await home.end("SIGKILL");
      await endOnFullDisk(name);
      disk.free();
      await home.start();
      expect((await ended(home, running.jobId)).status).toBe("SUCCEEDED");
      for (const jobId of accepted) await ended(home, jobId);
      await isSound([running.jobId, ...accepted]);
    });

    it("ends a job whose log has no room only when it has been stored", async () => {
      const lines = 20_000;
      const text = "x".repeat(50);
      const job = await submit(home, waiting(`yes ${text} | head -n ${lines}`, "exit 0"));
      const log = `/jobs/${job.jobId}/logs?tail=1`;
      await vi.waitFor(
        async () => expect((await call<Page<{ seq: number }>>(home, log)).body.items[0]?.seq).toBe(lines),
        { timeout: PATIENCE_MS, interval: 50 },
      );
      disk.fill();
      // Enough for the ledger, not for a second copy of the log.
      disk.free(512 * 1024);
      await open();
      await until(home, job.jobId, ({ phase }) => expect(phase).toBe("collecting"));
      expect((await call(home, "/health")).status).toBe(200);
      disk.free();
      expect((await ended(home, job.jobId)).status).toBe("SUCCEEDED");
      const stored = await call<string>(home, `/jobs/${job.jobId}/logs`, { headers: { Accept: "text/plain" } });
      expect(stored.text.split("\n").filter((line) => line === text)).toHaveLength(lines);
    });
  });

  describe("that fails and becomes read-only", () => {
    it("refuses with 503, is not healthy, still answers reads, and loses nothing", async () => {
      const job = await submit(home, stubJob({ STUB_STDOUT: "x" }));
      await ended(home, job.jobId);
      await disk.fail();
      problemOf(await call(home, "/jobs", { body: stubJob() }), 503, "UNAVAILABLE");
      const health = await call<Health>(home, "/health");
      expect(health.status).toBe(503);
      expect(health.body.checks.find(({ name }) => name === "table")).toMatchObject({ ok: false });
      givesNothingAway(health.text);
      expect((await show(home, job.jobId)).status).toBe("SUCCEEDED");
      await home.end("SIGKILL");
      await disk.remount("rw");
      await home.start();
      await isSound([job.jobId]);
    });

    it("is not opened at the start, with one line that names the directory", async () => {
      await home.end("SIGTERM");
      await disk.remount("ro");
      const env = { PATH: process.env.PATH ?? "", LONGSHORE_HOME: home.data, LONGSHORE_RUNTIMES: "stub" };
      const main = join(import.meta.dirname, "../../cli/main.ts");
      const start = await execa(process.execPath, [main, "dev", "--port", "0"], {
        env,
        extendEnv: false,
        reject: false,
      });
      expect(start.exitCode).toBe(125);
      expect(start.stderr).toMatch(/read-only/);
      expect(start.stderr).toContain(home.data);
      expect(start.stderr.split("\n")).toHaveLength(1);
      expect(start.stdout).toBe("");
      await disk.remount("rw");
    });
  });
});

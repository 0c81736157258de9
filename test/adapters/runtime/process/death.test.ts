import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { take } from "../../../../adapters/runtime/process/claim.ts";
import { createProcessRuntime } from "../../../../adapters/runtime/process/index.ts";
import { isAlive } from "../../../../adapters/runtime/process/processes.ts";
import { CANCELLED, SHUTDOWN } from "../../../../engine/abort.ts";
import { readLines, texts, untilLine } from "../../../contracts/runtime-harness.ts";
import { processesUnder } from "./harness.ts";
import { kill, launch, never, shell, sleeper, useProcessLab } from "./lab.ts";

const lab = useProcessLab();
const SUPERVISOR = fileURLToPath(new URL("../../../../adapters/runtime/process/supervisor.ts", import.meta.url));
/** A process of before the machine's last start. */
const GONE = { pid: 1, born: "another boot:1" };

describe("kill -9", () => {
  test("of the command: the job ends with 137, by its own signal", async () => {
    const ref = await lab.start(sleeper);
    process.kill(lab.leaderOf(ref).pid, "SIGKILL");
    expect(await lab.adapter.wait(ref, never())).toMatchObject({ phase: "exited", exitCode: 137, failure: null });
  });

  test("of the supervisor: the waiter hears of it, the job's processes end, the verdict stays", async () => {
    const ref = await lab.start(shell("setsid sleep 1000 & sleep 1000 & echo ready; wait"));
    const waiting = lab.adapter.wait(ref, never());
    process.kill(lab.supervisorOf(ref), "SIGKILL");
    const status = await waiting;
    expect(status).toMatchObject({ phase: "exited", exitCode: null });
    expect(status.failure).toMatchObject({ category: "RUNTIME_UNAVAILABLE", providerCode: "SUPERVISOR_LOST" });
    expect(processesUnder(lab.harness.directory)).toEqual([]);
    expect(await lab.adapter.status(ref)).toEqual(status);
    expect(texts(await readLines(lab.adapter, ref, { follow: true }))).toEqual(["ready"]);
    expect(await lab.adapter.cancel(ref, 1)).toBe(false);
  });

  test("of the supervisor: a successor that waits hears of it too, and starts nothing again", async () => {
    const one = launch(sleeper);
    const ref = await lab.adapter.submit(one, never());
    await untilLine(lab.adapter, ref, "ready");
    const successor = createProcessRuntime({ homeId: lab.homeId, directory: lab.harness.directory });
    const waiting = successor.wait(ref, never());
    process.kill(lab.supervisorOf(ref), "SIGKILL");
    expect((await waiting).failure?.providerCode).toBe("SUPERVISOR_LOST");
    expect(await successor.submit(one, never())).toBe(ref);
    expect((await successor.status(ref)).phase).toBe("exited");
    expect(texts(await readLines(successor, ref))).toEqual(["ready"]);
    await successor.dispose();
  });

  test("of a supervisor that had only taken the attempt: an end, and no start", async () => {
    const one = launch(shell("echo started"));
    const ref = one.externalName;
    await lab.claimed(one);
    await writeFile(lab.file(ref, "supervisor.json"), JSON.stringify(GONE));
    expect(await lab.adapter.submit(one, never())).toBe(ref);
    const status = await lab.adapter.wait(ref, never());
    expect(status).toMatchObject({ phase: "exited", exitCode: null, startedAt: null });
    expect(status.failure).toMatchObject({ category: "RUNTIME_UNAVAILABLE", providerCode: "SUPERVISOR_LOST" });
    expect(existsSync(lab.file(ref, "log"))).toBe(false);
  });

  test("of Longshore while the job runs: the job goes on and a successor finds everything", async () => {
    const one = launch(shell("trap 'echo bye; exit 7' TERM; echo ready; sleep 1000 & wait"));
    const { process: parent, lines } = await lab.client(one);
    parent.stdin?.write("go\n");
    expect((await lines.next()).value).toBe(`ref ${one.externalName}`);
    await kill(parent);
    const ref = await lab.adapter.find(one.externalName);
    expect(ref).toBe(one.externalName);
    await untilLine(lab.adapter, one.externalName, "ready");
    expect(isAlive(lab.leaderOf(one.externalName))).toBe(true);
    expect(await lab.adapter.submit(one, never())).toBe(ref);
    expect(await lab.adapter.cancel(one.externalName, 20)).toBe(true);
    expect(await lab.adapter.status(one.externalName)).toMatchObject({ exitCode: 7, failure: null });
    expect(texts(await readLines(lab.adapter, one.externalName))).toEqual(["ready", "bye"]);
  });

  test.each([0, 5, 20, 40, 60, 90])("of Longshore %i ms into a submit: never two starts", async (afterMs) => {
    const one = launch(shell("cat /proc/sys/kernel/random/uuid"));
    const { process: parent } = await lab.client(one);
    parent.stdin?.write("go\n");
    // Not for synchronisation: whatever the moment hits, the outcome must be the same.
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await kill(parent);
    const ref = await lab.adapter.submit(one, never());
    expect(await lab.adapter.wait(ref, never())).toMatchObject({ phase: "exited", exitCode: 0 });
    expect(texts(await readLines(lab.adapter, ref))).toHaveLength(1);
  });

  test("of Longshore before the whole order was given: nothing is started", async () => {
    const one = launch(shell("echo started"));
    const order = JSON.stringify(await lab.claimed(one));
    const child = spawn(process.execPath, [SUPERVISOR, "half"], { stdio: ["pipe", "pipe", "ignore"] });
    lab.own(child);
    const ended = once(child, "exit");
    child.stdin.end(order.slice(0, -1));
    expect(await ended).toEqual([2, null]);
    expect(existsSync(lab.file(one.externalName, "supervisor.json"))).toBe(false);
  });

  test("of Longshore after the order: a supervisor that is so late that all is over starts nothing again", async () => {
    const one = launch(shell("echo started"));
    const order = await lab.claimed(one);
    const late = (): ReturnType<typeof spawn> => {
      const child = spawn(process.execPath, [SUPERVISOR, "late"], { stdio: ["pipe", "pipe", "ignore"] });
      lab.own(child);
      return child;
    };
    const [first, second, third] = [late(), late(), late()];
    const tell = async (child: ReturnType<typeof late>): Promise<void> => {
      const ended = once(child, "exit");
      child.stdin?.end(JSON.stringify(order));
      expect(await ended).toEqual([0, null]);
    };
    const ref = await lab.adapter.submit(one, never());
    await lab.adapter.wait(ref, never());
    await tell(first);
    expect(texts(await readLines(lab.adapter, ref))).toEqual(["started"]);
    await lab.adapter.cleanup(ref);
    await tell(second);
    expect(readdirSync(lab.harness.directory)).toEqual([]);
    // Even if the name was claimed anew: that attempt waits for a supervisor of its own.
    await lab.claimed(one);
    await tell(third);
    expect(existsSync(lab.file(ref, "supervisor.json"))).toBe(false);
  });

  test("of Longshore between the claim and the supervisor: the next submit starts the command", async () => {
    const one = launch(shell("echo started"));
    await lab.claimed(one, GONE);
    expect((await lab.adapter.status(one.externalName)).phase).toBe("created");
    expect(await Array.fromAsync(lab.adapter.list())).toMatchObject([{ ref: one.externalName }]);
    const ref = await lab.adapter.submit(one, never());
    expect(await lab.adapter.wait(ref, never())).toMatchObject({ phase: "exited", exitCode: 0 });
    expect(texts(await readLines(lab.adapter, ref))).toEqual(["started"]);
  });

  test("of Longshore between the claim and the supervisor: a waiter, a follower and a cancel do not hang", async () => {
    const waited = launch(shell("echo started"));
    await lab.claimed(waited, GONE);
    const status = await lab.adapter.wait(waited.externalName, never());
    expect(status).toMatchObject({ phase: "exited", startedAt: null, failure: { providerCode: "SUPERVISOR_LOST" } });

    const followed = launch(shell("echo started"));
    await lab.claimed(followed, GONE);
    expect(await readLines(lab.adapter, followed.externalName, { follow: true })).toEqual([]);

    const cancelled = launch(shell("echo started"));
    const order = await lab.claimed(cancelled);
    expect(await lab.adapter.cancel(cancelled.externalName, 10)).toBe(true);
    const { phase, failure } = await lab.adapter.status(cancelled.externalName);
    expect({ phase, failure }).toEqual({ phase: "exited", failure: null });
    expect(take(order)).toBeUndefined();
    expect(await lab.adapter.submit(cancelled, never())).toBe(cancelled.externalName);
    expect(await readLines(lab.adapter, cancelled.externalName, { follow: true })).toEqual([]);
  });

  test("of a supervisor or a cleanup half-way leaves what the next listing removes", async () => {
    await mkdir(join(lab.harness.directory, ".claim-999999999-00", "work"), { recursive: true });
    await mkdir(join(lab.harness.directory, `.claim-${process.pid}-00`));
    await mkdir(join(lab.harness.directory, ".trash-longshore-z-a1-00", "work"), { recursive: true });
    expect(await Array.fromAsync(lab.adapter.list())).toEqual([]);
    expect(readdirSync(lab.harness.directory)).toEqual([`.claim-${process.pid}-00`]);
    await rm(join(lab.harness.directory, `.claim-${process.pid}-00`), { recursive: true });
  });
});

describe("SIGTERM to the supervisor, as at the machine's shutdown", () => {
  test("ends the job by its own means, and says that it was not the job's fault", async () => {
    const ref = await lab.start(sleeper);
    process.kill(lab.supervisorOf(ref), "SIGTERM");
    const status = await lab.adapter.wait(ref, never());
    expect(status).toMatchObject({ phase: "exited", exitCode: 0 });
    expect(status.failure).toMatchObject({ category: "RUNTIME_UNAVAILABLE", providerCode: "SUPERVISOR_STOPPED" });
    expect(texts(await readLines(lab.adapter, ref))).toEqual(["ready", "bye"]);
  });
});

describe("a pid that was used again", () => {
  test("is neither taken for the supervisor nor killed for the command", async () => {
    const bystander = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
    lab.own(bystander);
    const pid = bystander.pid ?? 0;
    const one = launch(sleeper);
    const gone = { pid, born: "an earlier boot:1" };
    const { externalName } = one;
    await lab.claimed(one);
    await writeFile(lab.file(externalName, "supervisor.json"), JSON.stringify(gone));
    const startedAt = "2020-01-01T00:00:00.000Z";
    await writeFile(lab.file(externalName, "record/started.json"), JSON.stringify({ leader: gone, startedAt }));
    const status = await lab.adapter.status(externalName);
    expect(status).toMatchObject({ phase: "exited", startedAt, failure: { providerCode: "SUPERVISOR_LOST" } });
    expect(bystander.exitCode).toBeNull();
    expect(bystander.signalCode).toBeNull();
  });
});

describe("one start", () => {
  test("of twenty submits in each of two processes", async () => {
    const one = launch(shell("cat /proc/sys/kernel/random/uuid"));
    const racers = [await lab.client(one, 10), await lab.client(one, 10)];
    for (const { process: racer } of racers) racer.stdin?.write("go\n");
    for (const { lines } of racers) {
      for (let n = 0; n < 10; n++) expect((await lines.next()).value).toBe(`ref ${one.externalName}`);
    }
    await lab.adapter.wait(one.externalName, never());
    expect(texts(await readLines(lab.adapter, one.externalName))).toHaveLength(1);
    expect(readdirSync(lab.harness.directory)).toEqual([one.externalName]);
  });
});

describe("an abort on the way", () => {
  test.each([
    { what: "of a job that is to be stopped undoes the start", reason: CANCELLED, left: [] as string[] },
    { what: "because Longshore ends undoes nothing", reason: SHUTDOWN, left: ["own"] },
  ])("$what", async ({ reason, left }) => {
    const one = launch(sleeper);
    const controller = new AbortController();
    const submitted = lab.adapter.submit(one, controller.signal);
    controller.abort(reason);
    await expect(submitted).rejects.toBe(reason);
    const names = readdirSync(lab.harness.directory).map((name) => (name === one.externalName ? "own" : name));
    expect(names).toEqual(left);
  });
});

describe("a damaged record", () => {
  test("of a log is told in its place, not skipped: it made the whole log unreadable", async () => {
    const ref = await lab.adapter.submit(launch(shell("echo one; echo two")), never());
    await lab.adapter.wait(ref, never());
    const [one, two] = (await readFile(lab.file(ref, "log"), "utf8")).split("\n");
    await writeFile(lab.file(ref, "log"), `${one}\ngarbage\n${two}\n`);
    expect((await readLines(lab.adapter, ref)).map(({ n, stream, text }) => [n, stream, text])).toEqual([
      [1, "stdout", "one"],
      [2, "system", expect.stringContaining("damaged")],
      [3, "stdout", "two"],
    ]);
  });

  test("that a supervisor left torn at the end of a log is no line", async () => {
    const ref = await lab.start(sleeper);
    const waiting = lab.adapter.wait(ref, never());
    process.kill(lab.supervisorOf(ref), "SIGKILL");
    await waiting;
    await writeFile(lab.file(ref, "log"), `${await readFile(lab.file(ref, "log"), "utf8")}o17000`);
    expect(texts(await readLines(lab.adapter, ref))).toEqual(["ready"]);
  });
});

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { take } from "../../../../adapters/runtime/process/claim.ts";
import { supervise } from "../../../../adapters/runtime/process/supervise.ts";
import { readLines, texts } from "../../../contracts/runtime-harness.ts";
import { processesUnder } from "./harness.ts";
import { launch, never, shell, sleeper, stubborn, useProcessLab } from "./lab.ts";

const lab = useProcessLab();

/** Every file under a directory, with what is in it. */
function contents(directory: string): [string, Buffer][] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
    .map((path) => [path, readFileSync(path)]);
}

describe("environment and place", () => {
  test("gives the job nothing of Longshore's own environment", async () => {
    const one = launch(shell("env; pwd; ls -A; umask"), { env: { OWN: "mine" } });
    const ref = await lab.adapter.submit(one, never());
    await lab.adapter.wait(ref, never());
    const lines = texts(await readLines(lab.adapter, ref));
    const names = lines.filter((line) => /^\w+=/.test(line)).map((line) => line.split("=")[0]);
    // The last three are the shell's own.
    const allowed = ["PATH", "HOME", "TMPDIR", "LONGSHORE_JOB_ID", "LONGSHORE_ATTEMPT", "OWN", "PWD", "SHLVL", "_"];
    expect(names.filter((name) => !allowed.includes(name ?? ""))).toEqual([]);
    expect(lines).toContain(`LONGSHORE_JOB_ID=${one.jobId}`);
    expect(lines).toContain("LONGSHORE_ATTEMPT=1");
    expect(lines).toContain(`HOME=${lab.file(ref, "work")}`);
    expect(lines.slice(-2)[0]).toBe(lab.file(ref, "work"));
    expect(lines.at(-1)).toBe(process.umask().toString(8).padStart(4, "0"));
  });

  test("lets the job's own PATH and HOME win, and keeps the marks", async () => {
    const env = { PATH: "/bin:/own", HOME: "/own-home", LONGSHORE_JOB_ID: "forged" };
    const one = launch(shell('echo "$PATH"; echo "$HOME"; echo "$LONGSHORE_JOB_ID"'), { env });
    const ref = await lab.adapter.submit(one, never());
    await lab.adapter.wait(ref, never());
    expect(texts(await readLines(lab.adapter, ref))).toEqual(["/bin:/own", "/own-home", one.jobId]);
  });

  test("starts the command in the spec's work directory", async () => {
    const workdir = join(lab.harness.directory, "place");
    await mkdir(workdir);
    const ref = await lab.adapter.submit(launch(shell("pwd"), { spec: { workdir } }), never());
    await lab.adapter.wait(ref, never());
    expect(texts(await readLines(lab.adapter, ref))).toEqual([workdir]);
    await rm(workdir, { recursive: true });
  });

  test("keeps others on the machine out of the attempt's directory", async () => {
    const ref = await lab.start(sleeper);
    for (const path of ["", "work", "tmp", "record"]) expect(statSync(lab.file(ref, path)).mode & 0o777).toBe(0o700);
    for (const path of ["claim.json", "log", "record/started.json"]) {
      expect(statSync(lab.file(ref, path)).mode & 0o777).toBe(0o600);
    }
  });
});

describe("commands that cannot be started", () => {
  const cases = [
    { what: "a missing work directory", spec: { workdir: "/no/such/place" }, code: "NO_WORKDIR", exitCode: 126 },
    { what: "a directory", spec: { command: ["/etc"] }, code: "EACCES", exitCode: 126 },
    { what: "a missing command", spec: { command: ["no-such-command"] }, code: "ENOENT", exitCode: 127 },
    { what: "too much", spec: { args: ["x".repeat(200_000)] }, code: "E2BIG", exitCode: 126 },
  ];
  test.each(cases)("$what: USER_CODE with $code, and the same again", async ({ spec, code, exitCode }) => {
    const one = launch(sleeper);
    Object.assign(one.spec, spec);
    for (const _ of [1, 2]) {
      await expect(lab.adapter.submit(one, never())).rejects.toMatchObject({ code: "USER_CODE", providerCode: code });
    }
    const status = await lab.adapter.status(one.externalName);
    expect(status).toMatchObject({ phase: "exited", exitCode, startedAt: null, failure: { providerCode: code } });
    expect(await lab.adapter.cancel(one.externalName, 0)).toBe(false);
  });

  test("masks a value in the command's name", async () => {
    const one = launch(sleeper, { secretValues: ["hunter2hunter2"], spec: { command: ["/opt/hunter2hunter2"] } });
    const error = await lab.adapter.submit(one, never()).catch((reason: unknown) => reason);
    expect(String(error)).toContain("/opt/***REDACTED***");
    expect(String(error)).not.toContain("hunter2");
  });

  test("says so when its own directory cannot be used", async () => {
    await rm(lab.harness.directory, { recursive: true });
    await writeFile(lab.harness.directory, "in the way");
    await expect(lab.adapter.submit(launch(sleeper), never())).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await lab.adapter.health()).ok).toBe(false);
    await rm(lab.harness.directory);
    await mkdir(lab.harness.directory);
  });

  test("names the fields of a spec that it cannot follow", () => {
    const { spec } = launch(sleeper);
    const violations = lab.adapter.check?.({ ...spec, command: [], args: [], workdir: "relative" });
    expect(violations?.map((one) => one.path)).toEqual(["command", "workdir"]);
    expect(lab.adapter.check?.(spec)).toEqual([]);
  });
});

describe("secrets", () => {
  const value = "s3cr3t-värde/+?&=%";
  const base64 = Buffer.from(value).toString("base64");

  test("no value ever lies in the attempt's directory or in an argument, and the log is masked", async () => {
    const script = `echo "plain $DB_PASSWORD"; printf %s "$DB_PASSWORD" | base64; echo "err $DB_PASSWORD" >&2
      printf 's3cr3t-'; sleep 0.1; printf 'värde/+?&=%%\\n'; trap 'exit 0' TERM; echo ready; sleep 1000 & wait`;
    const ref = await lab.start(shell(script), { env: { DB_PASSWORD: value }, secretValues: [value] });
    const checkAll = (): void => {
      const files = contents(lab.harness.directory);
      expect(files.length).toBeGreaterThanOrEqual(3);
      for (const [path, bytes] of files) {
        for (const form of [value, "s3cr3t", base64, base64.slice(2, -4)]) {
          expect(`${path}: ${bytes.includes(form)}`).toBe(`${path}: false`);
        }
      }
    };
    checkAll();
    expect(readFileSync(`/proc/${lab.supervisorOf(ref)}/cmdline`, "utf8")).not.toContain("s3cr3t");
    expect(readFileSync(`/proc/${lab.supervisorOf(ref)}/environ`, "utf8")).toBe("");
    expect(readFileSync(`/proc/${lab.leaderOf(ref).pid}/environ`, "utf8")).toContain(`DB_PASSWORD=${value}`);
    await lab.adapter.cancel(ref, 5);
    checkAll();
    const all = texts(await readLines(lab.adapter, ref)).join("\n");
    expect(all).toContain("plain ***REDACTED***");
    expect(all).toContain("err ***REDACTED***");
  });

  test("masks a value that spans the cut of a line longer than 1 MiB", async () => {
    const before = 1024 * 1024 - 5;
    const script = `head -c ${before} /dev/zero | tr '\\0' x; printf %s "$DB_PASSWORD"; head -c 3000 /dev/zero | tr '\\0' y`;
    const one = launch(shell(script), { env: { DB_PASSWORD: value }, secretValues: [value] });
    const ref = await lab.adapter.submit(one, never());
    await lab.adapter.wait(ref, never());
    const lines = texts(await readLines(lab.adapter, ref));
    expect(lines.length).toBe(2);
    expect(lines.join("")).toBe(`${"x".repeat(before)}***REDACTED***${"y".repeat(3000)}`);
  });
});

describe("log on the disk", () => {
  test("is bounded, says so, and does not stop the job", async () => {
    const maxBytes = 100_000;
    const script = "i=0; while [ $i -lt 20000 ]; do echo line-$i-0123456789; i=$((i+1)); done; echo done > finished";
    const ref = await lab.adapter.submit(launch(shell(script), { spec: { logs: { maxBytes } } }), never());
    expect(await lab.adapter.wait(ref, never())).toMatchObject({ exitCode: 0, failure: null });
    expect(existsSync(lab.file(ref, "work/finished"))).toBe(true);
    const size = statSync(lab.file(ref, "log")).size;
    expect(size).toBeGreaterThan(maxBytes);
    expect(size).toBeLessThan(maxBytes * 2 + 70_000);
    const lines = await readLines(lab.adapter, ref);
    expect(lines.at(-1)?.stream).toBe("system");
    expect(lines.at(-1)?.text).toContain("dropped");
    expect(texts(lines)).toEqual(texts(lines).map((_, index) => `line-${index}-0123456789`));
    expect(lines.map((line) => line.n)).toEqual(lines.map((_, index) => index + 1));
  });
});

describe("everything ends with the command", () => {
  test("a child that outlives the leader is killed", async () => {
    const ref = await lab.adapter.submit(launch(shell("sleep 1000 & echo $!; exit 4")), never());
    expect(await lab.adapter.wait(ref, never())).toMatchObject({ exitCode: 4 });
    expect(processesUnder(lab.harness.directory)).toEqual([]);
  });

  test("so is one in a session of its own that holds the pipe, and one that ignores SIGTERM", async () => {
    const script = `setsid sh -c 'trap "" TERM; while :; do sleep 1000; done' &
      sh -c 'trap "" TERM; sleep 1000' & trap 'exit 0' TERM; echo ready; wait`;
    const ref = await lab.start(shell(script));
    expect(await lab.adapter.cancel(ref, 20)).toBe(true);
    expect(await lab.adapter.status(ref)).toMatchObject({ exitCode: 0, failure: null });
    expect(processesUnder(lab.harness.directory)).toEqual([]);
  });

  test("a job past its timeout is ended with TIMEOUT, also when it takes the hint", async () => {
    const ref = await lab.start(sleeper, { spec: { timeoutSeconds: 1 } });
    const status = await lab.adapter.wait(ref, never());
    expect(status).toMatchObject({ phase: "exited", exitCode: 0, failure: { category: "TIMEOUT" } });
    const deaf = await lab.start(stubborn, { spec: { timeoutSeconds: 1, stopGraceSeconds: 0 } });
    expect(await lab.adapter.wait(deaf, never())).toMatchObject({ exitCode: 137, failure: { category: "TIMEOUT" } });
    expect(await lab.adapter.cancel(deaf, 0)).toBe(false);
  });

  test("a cancel that nobody woke the supervisor for is taken up right after the start", async () => {
    const one = launch(stubborn);
    const order = await lab.claimed(one);
    const path = take(order) ?? "taken";
    const life = supervise(path, order, 0o022);
    // The command is just being started: too late for the look before it.
    writeFileSync(join(path, "cancel.json"), JSON.stringify({ graceSeconds: 0 }));
    await life.ended;
    expect(await lab.adapter.status(one.externalName)).toMatchObject({ exitCode: 137, failure: null });
  });

  test("a cancel that was there before the start prevents it", async () => {
    const one = launch(shell("touch started"));
    const order = await lab.claimed(one);
    const path = take(order) ?? "taken";
    expect(take(order)).toBeUndefined();
    await writeFile(join(path, "cancel.json"), JSON.stringify({ graceSeconds: 10 }));
    await supervise(path, order, 0o022).ended;
    expect(await lab.adapter.status(one.externalName)).toMatchObject({
      phase: "exited",
      exitCode: null,
      startedAt: null,
    });
    expect(readdirSync(join(path, "work"))).toEqual([]);
    expect(await lab.adapter.submit(one, never())).toBe(one.externalName);
  });

  test("a second cancel with less patience shortens the first one's grace", async () => {
    const ref = await lab.start(stubborn);
    const first = lab.adapter.cancel(ref, 1_000);
    expect(await lab.adapter.cancel(ref, 1)).toBe(true);
    expect(await first).toBe(true);
    expect(await lab.adapter.status(ref)).toMatchObject({ exitCode: 137, failure: null });
  });

  test("cleanup removes what the job locked away", async () => {
    const ref = await lab.adapter.submit(launch(shell("mkdir -p a/b; touch a/b/c; chmod 000 a/b a")), never());
    await lab.adapter.wait(ref, never());
    await lab.adapter.cleanup(ref);
    expect(await lab.harness.leftovers(lab.homeId)).toEqual([]);
  });
});

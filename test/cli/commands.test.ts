import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { longshore } from "../../cli/commands.ts";
import { findCommand, helpOf } from "../../cli/dispatch.ts";
import {
  aJob,
  aLine,
  anEvent,
  type ContractServer,
  JOB_ID,
  json,
  openStream,
  problem,
  sse,
  startContractServer,
} from "../sdk/contract-server.ts";
import { runInProcess } from "./in-process.ts";

const OTHER_ID = "job_01J00000000000000000000001";

let server: ContractServer;

beforeEach(async () => {
  server = await startContractServer();
});
afterEach(async () => {
  await server.close();
});

function run(...args: string[]) {
  return runInProcess(["--endpoint", server.url, ...args]);
}

describe("the help", () => {
  it.each([
    "",
    "run",
    "jobs",
    "jobs list",
    "jobs status",
    "jobs logs",
    "jobs events",
    "jobs cancel",
    "jobs retry",
    "jobs artifacts",
    "jobs download",
    "jobs cost",
    "jobs submit",
    "runs",
    "runs list",
    "runs show",
    "runs rm",
    "runs cleanup",
    "jobs top",
    "runtimes",
    "runtimes list",
    "runtimes health",
    "dead-letters",
    "dead-letters list",
    "dead-letters show",
    "dead-letters replay",
    "dead-letters rm",
    "dev",
  ])("of longshore %s", async (words) => {
    const argv = [...words.split(" ").filter(Boolean), "--help"];
    const { command } = await findCommand(longshore, argv);
    const help = await helpOf(command);
    expect(help).toMatchSnapshot();
    expect(await runInProcess(argv)).toEqual({ code: 0, stdout: `${help}\n`, stderr: "" });
  });

  it("is not asked for by what belongs to the container", async () => {
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    const { code } = await run("run", "--detach", "alpine", "--", "--help", "--version", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(server.received[0]?.body ?? "")).toMatchObject({ args: ["--help", "--version", "--json"] });
  });
});

describe("a mistake of the user", () => {
  it.each<[string[], string]>([
    [["runn"], 'unknown command "runn"; there are run, jobs, runs, runtimes, dead-letters, dev'],
    [["constructor"], 'unknown command "constructor"'],
    [["jobs", "statsu"], 'unknown command "statsu"'],
    [["jobs", "--colour"], "Unknown option '--colour'"],
    [["--nope", "jobs"], "Unknown option '--nope'"],
    [["--nope"], "Unknown option '--nope'"],
    [["jobs", "status"], "argument: ID…"],
    [["jobs", "submit"], "argument: FILE…"],
    [["jobs", "list", "more"], 'unexpected word "more"'],
    [["jobs", "list", "--limit", "0"], "--limit"],
    [["jobs", "list", "--created-after", "noon"], "--created-after"],
    [["jobs", "list", "--label", "team"], "--label needs"],
    [["jobs", "logs", JOB_ID, "--tail", "few"], "--tail"],
    [["jobs", "logs", JOB_ID, "--since", "noon"], "--since"],
    [["jobs", "logs", JOB_ID, "--stream", "stdin"], "--stream"],
    [["jobs", "submit", "/nonexistent"], "cannot read /nonexistent (ENOENT)"],
    [["dead-letters", "list", "--limit", "0"], "--limit"],
    [["dead-letters", "replay"], "argument: ID…"],
    [["dead-letters", "rm"], "argument: ID…"],
    [["dev", "--port", "70000"], "--port"],
    [["dev", "now"], "unexpected word"],
  ])("%j gives one clear line and no stack", async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^longshore: [^\n]+\n$/);
    expect(server.received).toEqual([]);
  });

  it.each(["", "nowhere", "ftp://x", "http://me:hunter2@localhost"])("endpoint %j is one", async (endpoint) => {
    const { code, stderr } = await runInProcess(["--endpoint", endpoint, "jobs"]);
    expect(code).toBe(2);
    expect(stderr).toContain("endpoint");
    expect(stderr).not.toContain("hunter2");
  });

  it("in a setting is one too, and names the setting", async () => {
    const { code, stderr } = await runInProcess(["jobs"], { LONGSHORE_PORT: "many" });
    expect(code).toBe(2);
    expect(stderr).toBe("longshore: LONGSHORE_PORT must be a whole number from 0 to 65535\n");
  });

  it("is reported as a document with --json", async () => {
    const { code, stderr } = await run("--json", "jobs", "status");
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({ code: "USAGE", detail: expect.stringContaining("ID…") });
  });

  it("of naming no command shows the help", async () => {
    const { code, stdout, stderr } = await runInProcess([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("USAGE longshore");
  });
});

describe("longshore", () => {
  it("knows its version", async () => {
    expect(await runInProcess(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it("takes the endpoint from the environment, and the flag before it, anywhere in the line", async () => {
    server.routes["GET /runtimes"] = (_, response) => json(response, { items: [] });
    expect((await runInProcess(["runtimes"], { LONGSHORE_ENDPOINT: server.url })).code).toBe(0);
    const env = { LONGSHORE_ENDPOINT: "http://127.0.0.1:9" };
    expect((await runInProcess(["runtimes", "list", "--endpoint", server.url], env)).code).toBe(0);
    expect((await runInProcess(["runtimes", `--endpoint=${server.url}`, "list"], env)).code).toBe(0);
    expect(server.received).toHaveLength(3);
  });

  it("tells of a bug with its stack and 125", async () => {
    server.routes["GET /runtimes"] = (_, response) => json(response, { nothing: "expected" });
    const { code, stderr } = await run("runtimes");
    expect(code).toBe(125);
    expect(stderr).toMatch(/^longshore: unexpected failure: TypeError.*\n\s+at /);
  });
});

describe("longshore jobs", () => {
  it("lists jobs in columns", async () => {
    const ended = { status: "FAILED", phase: null, exitCode: 3, durationMs: 61_000, name: "b\u001b[2J\nx" } as const;
    server.routes["GET /jobs"] = (_, response) =>
      json(response, { items: [aJob(), aJob({ jobId: OTHER_ID, ...ended })], nextCursor: "c" });
    const { stdout, stderr } = await run("jobs", "--limit", "2");
    expect(stdout).toMatchInlineSnapshot(`
      "JOB                             NAME    STATUS   PHASE   RUNTIME  CREATED                   DURATION  EXIT
      job_01J00000000000000000000000  alpine  PENDING  queued  docker   2026-01-02T03:04:05.000Z  -         -
      job_01J00000000000000000000001  b x     FAILED   -       docker   2026-01-02T03:04:05.000Z  1m        3
      "
    `);
    expect(stderr).toBe("more with --cursor c\n");
  });

  it("passes its filters on, and reads as many pages as it needs", async () => {
    let page = 0;
    server.routes["GET /jobs"] = (_, response) => {
      page += 1;
      const items = Array.from({ length: page === 1 ? 200 : 50 }, () => aJob());
      json(response, { items, nextCursor: page === 1 ? "next" : null });
    };
    const args = ["--json", "jobs", "list", "--status", "failed,TIMED_OUT", "--status", "CANCELLED", "--name", "n"];
    args.push(
      "--label",
      "team=a:b",
      "--runtime",
      "docker",
      "--created-after",
      "2026-01-01T00:00:00Z",
      "--limit",
      "250",
    );
    const { stdout } = await run(...args);
    const list = JSON.parse(stdout);
    expect(list.items).toHaveLength(250);
    expect(list.nextCursor).toBeNull();
    const [first, second] = server.received.map((request) => request.query);
    expect(first?.getAll("status")).toEqual(["FAILED", "TIMED_OUT", "CANCELLED"]);
    expect(Object.fromEntries(first ?? [])).toMatchObject({
      name: "n",
      label: "team:a:b",
      runtime: "docker",
      createdAfter: "2026-01-01T00:00:00.000Z",
      limit: "200",
    });
    expect(second?.get("limit")).toBe("50");
    expect(second?.get("cursor")).toBe("next");
  });

  it("shows a job", async () => {
    const error = { category: "OOM", message: "out of\nmemory", retryable: false, providerCode: null, exitCode: 137 };
    const job = aJob({ status: "FAILED", phase: null, exitCode: 137, durationMs: 1500, labels: { a: "b", c: "d" } });
    server.routes[`GET /jobs/${JOB_ID}`] = (_, response) => json(response, { ...job, error });
    expect((await run("jobs", "status", JOB_ID)).stdout).toMatchInlineSnapshot(`
      "Job        job_01J00000000000000000000000
      Name       alpine
      Status     FAILED
      Image      alpine:3.20
      Runtime    docker
      Attempt    1 of 1
      Created    2026-01-02T03:04:05.000Z
      Duration   2s
      Exit code  137
      Error      OOM: out of memory
      Labels     a=b, c=d
      "
    `);
    expect(JSON.parse((await run("--json", "jobs", "status", JOB_ID)).stdout)).toEqual({ ...job, error });
  });

  it("goes on after one of several that fails, and ends with its code", async () => {
    server.routes[`POST /jobs/${OTHER_ID}/cancel`] = (_, response) => json(response, aJob({ jobId: OTHER_ID }), 202);
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = (_, response) =>
      problem(response, { status: 409, code: "CONFLICT", detail: "the job has ended" });
    expect(await run("jobs", "cancel", JOB_ID, OTHER_ID)).toEqual({
      code: 2,
      stdout: `${OTHER_ID} PENDING, being cancelled\n`,
      stderr: `longshore: ${JOB_ID}: the job has ended\n`,
    });
  });

  it("retries and prices", async () => {
    server.routes[`POST /jobs/${JOB_ID}/retry`] = (_, response) => json(response, aJob({ jobId: OTHER_ID }), 202);
    server.routes[`GET /jobs/${JOB_ID}/cost`] = (_, response) => json(response, { amountUsd: null, basis: "unknown" });
    expect((await run("jobs", "retry", JOB_ID)).stdout).toBe(`${OTHER_ID}\n`);
    expect((await run("jobs", "cost", JOB_ID)).stdout).toBe(`${JOB_ID} unknown\n`);
    const { stdout } = await run("jobs", "cost", "--json", JOB_ID);
    expect(JSON.parse(stdout)).toEqual({ jobId: JOB_ID, amountUsd: null, basis: "unknown" });
  });

  it("prints lines to where the job wrote them", async () => {
    const items = [aLine(1), aLine(2, { stream: "stderr" }), aLine(3, { stream: "system", text: "told" })];
    server.routes[`GET /jobs/${JOB_ID}/logs`] = (_, response) => json(response, { items, nextCursor: null });
    const args = ["--tail", "9", "--since", "4", "--stream", "stdout,stderr", "--stream", "system"];
    expect(await run("jobs", "logs", JOB_ID, ...args)).toEqual({
      code: 0,
      stdout: "line 1\n",
      stderr: "line 2\ntold\n",
    });
    expect(server.received[0]?.query.toString()).toBe("tail=9&since=4&stream=stdout%2Cstderr%2Csystem");
    const { stdout } = await run("jobs", "logs", "--json", JOB_ID);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(items);
  });

  it("follows lines and events", async () => {
    const end = sse({ event: "end", data: aJob({ status: "SUCCEEDED" }) });
    server.routes[`GET /jobs/${JOB_ID}/logs`] = (_, response) => {
      openStream(response).end(sse({ id: 1, event: "log", data: aLine(1) }) + end);
    };
    server.routes[`GET /jobs/${JOB_ID}/events`] = (_, response) => {
      openStream(response).end(sse({ id: 1, event: "event", data: anEvent(1, { data: { a: 1 } }) }) + end);
    };
    expect((await run("jobs", "logs", "-f", JOB_ID)).stdout).toBe("line 1\n");
    const events = await run("jobs", "events", "--follow", JOB_ID);
    expect(events.stdout).toBe('  1  2026-01-02T03:04:05.000Z  attempt 1  SUBMITTED {"a":1}\n');
    expect(server.received.every((request) => request.query.get("follow") === "true")).toBe(true);
  });

  it("submits one spec, or several at once", async () => {
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    server.routes["POST /jobs/batch"] = (_, response) =>
      json(response, { items: [aJob(), aJob({ jobId: OTHER_ID })] }, 202);
    const one = ["--endpoint", server.url, "jobs", "submit", "-", "--idempotency-key", "k"];
    expect((await runInProcess(one, {}, { input: "image: a" })).stdout).toBe(`${JOB_ID}\n`);
    expect(server.received[0]).toMatchObject({ body: '{"image":"a"}', headers: { "idempotency-key": "k" } });
    expect((await runInProcess(one, {}, { input: "image: a\n---\nimage: b" })).stdout).toBe(`${JOB_ID}\n${OTHER_ID}\n`);
    expect(JSON.parse(server.received[1]?.body ?? "")).toEqual({ jobs: [{ image: "a" }, { image: "b" }] });
  });
});

describe("longshore runtimes", () => {
  const docker = { name: "docker", kind: "docker", circuit: "closed", running: 1, maxConcurrent: 64 };
  const well = { ok: true, message: "20.10", checkedAt: "2026-01-02T03:04:05.000Z" };

  it("lists them", async () => {
    server.routes["GET /runtimes"] = (_, response) => json(response, { items: [{ ...docker, health: well }] });
    expect((await run("runtimes")).stdout).toMatchInlineSnapshot(`
      "RUNTIME  KIND    HEALTH  CIRCUIT  RUNNING
      docker   docker  ok      closed   1 of 64
      "
    `);
  });

  it("exits with 125 when one is not well", async () => {
    const ill = { ok: false, message: "no socket", checkedAt: null };
    const open = { ...docker, circuit: "open", health: ill };
    server.routes["GET /runtimes/docker"] = (_, response) => json(response, open);
    server.routes["GET /runtimes"] = (_, response) => json(response, { items: [{ ...docker, health: well }] });
    const { code, stdout } = await run("runtimes", "health", "docker");
    expect(code).toBe(125);
    expect(stdout).toMatch(/^docker +not ok +open +- +no socket$/m);
    expect((await run("runtimes", "health")).code).toBe(0);
    expect((await run("runtimes", "health", "podman")).code).toBe(2);
  });
});

describe("longshore dead-letters", () => {
  const error = { category: "OOM", message: "out of\nmemory", retryable: false, providerCode: null, exitCode: 137 };
  const letter = {
    id: "dl_01J00000000000000000000000",
    jobId: JOB_ID,
    name: "alpine",
    error,
    attempts: 3,
    createdAt: "2026-01-02T03:04:05.000Z",
    replayedAs: null,
  };
  const replayed = { ...letter, id: "dl_01J00000000000000000000001", name: "b\u001b[2J\nx", replayedAs: OTHER_ID };

  it("lists them in columns, over as many pages as it needs", async () => {
    server.routes["GET /dead-letters"] = ({ query }, response) =>
      json(response, {
        items: query.has("cursor") ? [replayed] : [letter],
        nextCursor: query.has("cursor") ? "d" : "c",
      });
    const { stdout, stderr } = await run("dead-letters", "--limit", "2");
    expect(stdout).toMatchInlineSnapshot(`
      "DEAD LETTER                    NAME    CREATED                   ATTEMPTS  ERROR  REPLAYED AS
      dl_01J00000000000000000000000  alpine  2026-01-02T03:04:05.000Z  3         OOM    -
      dl_01J00000000000000000000001  b x     2026-01-02T03:04:05.000Z  3         OOM    job_01J00000000000000000000001
      "
    `);
    expect(stderr).toBe("more with --cursor d\n");
    expect(server.received.map(({ query }) => query.toString())).toEqual(["limit=2", "limit=1&cursor=c"]);
    const { stdout: document } = await run("--json", "dead-letters", "list", "--cursor", "c", "--limit", "1");
    expect(JSON.parse(document)).toEqual({ items: [replayed], nextCursor: "d" });
  });

  it("shows them", async () => {
    server.routes[`GET /dead-letters/${replayed.id}`] = (_, response) => json(response, replayed);
    expect((await run("dead-letters", "show", replayed.id)).stdout).toMatchInlineSnapshot(`
      "Dead letter  dl_01J00000000000000000000001
      Job          job_01J00000000000000000000000
      Name         b x
      Attempts     3
      Created      2026-01-02T03:04:05.000Z
      Error        OOM: out of memory
      Replayed as  job_01J00000000000000000000001
      "
    `);
    expect(JSON.parse((await run("--json", "dead-letters", "show", replayed.id)).stdout)).toEqual(replayed);
  });

  it("replays and removes each of several, and goes on after one that fails", async () => {
    const detail = `the dead letter ${replayed.id} was replayed as ${OTHER_ID}`;
    server.routes[`POST /dead-letters/${replayed.id}/replay`] = (_, response) =>
      problem(response, { status: 409, code: "CONFLICT", detail });
    server.routes[`POST /dead-letters/${letter.id}/replay`] = (_, response) => json(response, aJob(), 202);
    server.routes[`DELETE /dead-letters/${letter.id}`] = (_, response) => void response.writeHead(204).end();
    expect(await run("dead-letters", "replay", replayed.id, letter.id)).toEqual({
      code: 2,
      stdout: `${JOB_ID}\n`,
      stderr: `longshore: ${replayed.id}: ${detail}\n`,
    });
    const { code, stdout, stderr } = await run("--json", "dead-letters", "rm", replayed.id, letter.id);
    expect({ code, stdout: JSON.parse(stdout) }).toEqual({ code: 2, stdout: { id: letter.id, removed: true } });
    expect(JSON.parse(stderr)).toMatchObject({ id: replayed.id, code: "NOT_FOUND" });
    expect((await run("dead-letters", "rm", letter.id)).stdout).toBe(`${letter.id} removed\n`);
  });
});

describe("longshore dev", () => {
  it("runs until it is told to stop, then closes the home", async () => {
    const stop = Promise.withResolvers<() => void>();
    const happened: string[] = [];
    const ended = runInProcess(
      ["dev", "--port", "0"],
      {},
      {
        openHome: async (settings) => {
          happened.push(`opened on ${settings.port}`);
          return {
            url: "http://127.0.0.1:1",
            close: async () => {
              happened.push("closed");
            },
          };
        },
        onStopSignal: (handler) => {
          stop.resolve(handler);
          return () => happened.push("released");
        },
      },
    );
    (await stop.promise)();
    expect(await ended).toEqual({ code: 0, stdout: "Longshore listens on http://127.0.0.1:1\n", stderr: "" });
    expect(happened).toEqual(["opened on 0", "closed", "released"]);
  });
});

describe("a command that hosts the engine itself", () => {
  it("waits with --detach until the job has started, says so, and closes", async () => {
    const started = Promise.withResolvers<void>();
    const happened: string[] = [];
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    server.routes[`GET /jobs/${JOB_ID}/events`] = async (_, response) => {
      openStream(response).write(sse({ id: 1, event: "event", data: anEvent(1) }));
      await started.promise;
      happened.push("started");
      response.write(sse({ id: 2, event: "event", data: anEvent(2, { type: "STARTED", phase: "running" }) }));
    };
    const ended = runInProcess(
      ["run", "--detach", "alpine"],
      { LONGSHORE_HOME: "/nonexistent/home" },
      {
        openHome: async () => ({
          url: server.url,
          close: async () => {
            happened.push("closed");
          },
        }),
      },
    );
    started.resolve();
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${JOB_ID}\n` });
    expect(stderr).toContain("the next one that starts takes it up");
    expect(happened).toEqual(["started", "closed"]);
  });

  it("closes it also when the command fails", async () => {
    let closed = 0;
    const { code } = await runInProcess(
      ["jobs", "status", JOB_ID],
      { LONGSHORE_HOME: "/nonexistent/home" },
      {
        openHome: async () => ({
          url: server.url,
          close: async () => {
            closed += 1;
          },
        }),
      },
    );
    expect({ code, closed }).toEqual({ code: 2, closed: 1 });
  });
});

describe("runs", () => {
  const pageOf = (removed: number, nextCursor: string | null) => ({
    ...{ removed, dryRun: false, items: Array.from({ length: removed }, () => JOB_ID), nextCursor },
  });

  it("are listed by what is asked for", async () => {
    const one = {
      jobId: JOB_ID,
      name: "nightly",
      status: "FAILED",
      runtime: "docker",
      finishedAt: "2026-01-01T00:00:00.000Z",
    };
    server.routes["GET /runs"] = (_, response) =>
      json(response, { items: [{ ...one, durationMs: 61_000, exitCode: 3 }], nextCursor: null });
    const { stdout, code } = await run(
      "runs",
      "--status",
      "failed,timed_out",
      "--label",
      "a=b",
      "--finished-after",
      "2026-01-01T00:00:00Z",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/nightly +FAILED +docker +2026-01-01T00:00:00.000Z +1m +3/);
    expect(server.received[0]?.query.toString()).toBe(
      "status=FAILED&status=TIMED_OUT&finishedAfter=2026-01-01T00%3A00%3A00.000Z&limit=50&label=a%3Ab",
    );
  });

  it("are shown in Markdown, or as JSON", async () => {
    server.routes[`GET /runs/${JOB_ID}/summary`] = (_, response) => void response.end("# FAILED: `nightly`\n");
    server.routes[`GET /runs/${JOB_ID}`] = (_, response) => json(response, { jobId: JOB_ID });
    expect((await run("runs", "show", JOB_ID)).stdout).toBe("# FAILED: `nightly`\n");
    expect((await run("runs", "show", JOB_ID, "--json")).stdout).toBe(`{"jobId":"${JOB_ID}"}\n`);
  });

  it("are erased one by one; one that is active does not keep the others", async () => {
    server.routes[`DELETE /runs/${JOB_ID}`] = (_, response) => void response.writeHead(204).end();
    server.routes[`DELETE /runs/${OTHER_ID}`] = (_, response) =>
      problem(response, { status: 409, code: "CONFLICT", detail: "the job is still active: RUNNING" });
    const { stdout, stderr, code } = await run("runs", "rm", OTHER_ID, JOB_ID);
    expect([stdout, code]).toEqual([`${JOB_ID} removed\n`, 2]);
    expect(stderr).toContain("still active");
  });

  it("are cleaned up call after call, with the same query", async () => {
    server.routes["POST /runs/cleanup"] = ({ body }, response) =>
      json(response, body.includes('"cursor":"c"') ? pageOf(1, null) : pageOf(2, "c"));
    const { stdout, stderr, code } = await run(
      "runs",
      "cleanup",
      "--older-than",
      "7d",
      "--status",
      "failed",
      "--keep",
      "5",
    );
    expect([stdout, stderr, code]).toEqual(["", "3 runs erased\n", 0]);
    const query = { olderThan: "7d", status: ["FAILED"], keep: 5, dryRun: false };
    expect(server.received.map(({ body }) => JSON.parse(body))).toEqual([query, { ...query, cursor: "c" }]);
  });

  it("are only named in a dry run", async () => {
    server.routes["POST /runs/cleanup"] = (_, response) => json(response, pageOf(2, null));
    const { stdout, stderr } = await run("runs", "cleanup", "--older-than", "7d", "--dry-run");
    expect([stdout, stderr]).toEqual([`${JOB_ID}\n${JOB_ID}\n`, "2 runs would be erased\n"]);
    expect(JSON.parse(server.received[0]?.body ?? "")).toEqual({ olderThan: "7d", dryRun: true });
    const asked = await run("runs", "cleanup", "--older-than", "7d", "--dry-run", "--json");
    expect(JSON.parse(asked.stdout)).toEqual({ removed: 2, dryRun: true, items: [JOB_ID, JOB_ID] });
  });

  it.each([[[]], [["--older-than", "7d", "--keep", "x"]]])("are not cleaned up by %j", async (flags) => {
    const { code, stderr } = await run("runs", "cleanup", ...flags);
    expect([code, server.received]).toEqual([2, []]);
    expect(stderr).toMatch(/^longshore: [^\n]+\n$/);
  });

  it("are not cleaned up at a terminal without a yes", async () => {
    server.routes["POST /runs/cleanup"] = ({ body }, response) =>
      json(response, { ...pageOf(2, null), dryRun: body.includes('"dryRun":true') });
    const answers: [string, boolean][] = [
      ["n", false],
      ["", false],
      ["yes", true],
    ];
    for (const [answer, erased] of answers) {
      server.received.length = 0;
      const stdin = Object.assign(Readable.from([`${answer}\n`]), { isTTY: true });
      const { stderr } = await runInProcess(
        ["--endpoint", server.url, "runs", "cleanup", "--older-than", "7d"],
        {},
        { stdin },
      );
      expect(stderr).toContain("Erase 2 runs for good?");
      const sent = server.received.map(({ body }) => (JSON.parse(body) as { dryRun: boolean }).dryRun);
      expect([answer, sent]).toEqual([answer, erased ? [true, false] : [true]]);
    }
  });
});

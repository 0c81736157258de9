import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Event, Job, LogLine } from "../../sdk/types.ts";
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
import { runLongshore, startLongshore } from "./spawn.ts";

let server: ContractServer;
let endpoint: string[];

beforeEach(async () => {
  server = await startContractServer();
  endpoint = ["--endpoint", server.url];
});
afterEach(async () => {
  await server.close();
});

/** Answers a submit, then streams that end with the job as given. */
function serveJob(over: Partial<Job>, lines: LogLine[] = [], events: Event[] = []): void {
  const end = sse({ event: "end", data: aJob({ phase: null, ...over }) });
  server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
  server.routes[`GET /jobs/${JOB_ID}/logs`] = (_, response) => {
    openStream(response).end(lines.map((line) => sse({ id: line.seq, event: "log", data: line })).join("") + end);
  };
  server.routes[`GET /jobs/${JOB_ID}/events`] = (_, response) => {
    openStream(response).end(events.map((one) => sse({ id: one.seq, event: "event", data: one })).join("") + end);
  };
}

const failed = (category: "OOM" | "USER_CODE" | "IMAGE_PULL" | "UNKNOWN", message = "it failed"): Partial<Job> => ({
  status: "FAILED",
  error: { category, message, retryable: false, providerCode: null, exitCode: null },
});

describe("the exit code of longshore run", () => {
  it.each<[string, Partial<Job>, number]>([
    ["a job that succeeded", { status: "SUCCEEDED", exitCode: 0 }, 0],
    ["a command that failed", { ...failed("USER_CODE"), exitCode: 3 }, 3],
    ["a command that ran out of memory", { ...failed("OOM"), exitCode: 137 }, 137],
    ["a job that never started", { ...failed("IMAGE_PULL"), exitCode: null }, 125],
    ["a job that Longshore failed after its command had ended well", { ...failed("UNKNOWN"), exitCode: 0 }, 125],
    ["a job that took too long", { status: "TIMED_OUT", exitCode: 137 }, 124],
    ["a job that somebody cancelled", { status: "CANCELLED", exitCode: 143 }, 130],
  ])("of %s", async (_, over, code) => {
    serveJob(over);
    const { code: actual, stdout, stderr } = await runLongshore([...endpoint, "run", "alpine"]);
    expect(actual).toBe(code);
    expect(stdout).toBe("");
    expect(stderr).toContain(`${JOB_ID} ${over.status}`);
    if (over.error) expect(stderr).toContain(`${over.error.category}: it failed`);
  });

  it.each([
    [422, "VALIDATION", 2],
    [413, "PAYLOAD_TOO_LARGE", 2],
    [400, "MALFORMED", 2],
    [409, "CONFLICT", 2],
    [429, "QUEUE_FULL", 125],
    [403, "FORBIDDEN", 125],
    [500, "INTERNAL", 125],
    [503, "UNAVAILABLE", 125],
  ])("of a submit that is refused with %d %s", async (status, code, exitCode) => {
    server.routes["POST /jobs"] = (_, response) => problem(response, { status, code, detail: "it is not to be" });
    expect(await runLongshore([...endpoint, "run", "alpine"])).toEqual({
      code: exitCode,
      signal: null,
      stdout: "",
      stderr: "longshore: it is not to be\n",
    });
  });

  it("of a Longshore that is not there", async () => {
    await server.close();
    const { code, stderr } = await runLongshore([...endpoint, "run", "alpine"]);
    expect(code).toBe(125);
    expect(stderr).toBe(`longshore: cannot reach Longshore at ${server.url} (ECONNREFUSED)\n`);
    server = await startContractServer();
  });
});

describe("longshore run", () => {
  it("prints every violation on a line of its own", async () => {
    const violations = [
      { path: "env.A", code: "x", message: "must be a text" },
      { path: "name", code: "x", message: "name is\u001b[2J too long" },
    ];
    server.routes["POST /jobs"] = (_, response) =>
      problem(response, { status: 422, code: "VALIDATION", detail: "the spec is invalid", violations });
    const { code, stderr } = await runLongshore([...endpoint, "run", "alpine"]);
    expect(code).toBe(2);
    expect(stderr).toBe("longshore: the spec is invalid\n  env.A: must be a text\n  name is too long\n");
  });

  it("prints lines where the job wrote them, and phases as lines", async () => {
    const lines = [aLine(1, { text: "out" }), aLine(2, { text: "err", stream: "stderr" }), aLine(3, { text: "" })];
    serveJob({ status: "SUCCEEDED", exitCode: 0, durationMs: 1200 }, lines, [
      anEvent(1),
      anEvent(2, { type: "IMAGE_PULLING", phase: "pulling", data: { image: "alpine:3" } }),
      anEvent(3, { type: "IMAGE_PULLING", phase: "pulling" }),
      anEvent(4, { type: "STARTED", phase: "running", attempt: 2 }),
    ]);
    const { stdout, stderr } = await runLongshore([...endpoint, "run", "alpine"]);
    expect(stdout).toBe("out\n\n");
    const told = stderr.split("\n").filter((line) => line !== "err");
    expect(told).toEqual([
      JOB_ID,
      "queued",
      "pulling alpine:3",
      "running (attempt 2)",
      `${JOB_ID} SUCCEEDED, exit code 0, 1s`,
      "",
    ]);
    expect(stderr).toContain("err\n");
  });

  it("prints one JSON document a line with --json", async () => {
    serveJob({ status: "SUCCEEDED", exitCode: 0 }, [aLine(1)], [anEvent(1)]);
    const { stdout, stderr } = await runLongshore([...endpoint, "--json", "run", "alpine"]);
    const documents = stdout
      .trimEnd()
      .split("\n")
      .map((line) => Object.keys(JSON.parse(line)).join());
    expect(documents.at(0)).toBe("job");
    expect(documents.slice(1, -1).sort()).toEqual(["event", "log"]);
    expect(documents.at(-1)).toBe("job");
    expect(stderr).toBe("");
  });

  it("reports a failure as a problem with --json", async () => {
    server.routes["POST /jobs"] = (_, response) => problem(response, { status: 429, code: "QUEUE_FULL" });
    const { code, stderr, stdout } = await runLongshore([...endpoint, "run", "alpine", "--json"]);
    expect(code).toBe(125);
    expect(stdout).toBe("");
    expect(JSON.parse(stderr)).toMatchObject({ status: 429, code: "QUEUE_FULL" });
  });

  it("prints the id and leaves with --detach", async () => {
    serveJob({});
    const { code, stdout, stderr } = await runLongshore([...endpoint, "run", "--detach", "alpine", "--", "sleep", "9"]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${JOB_ID}\n`, stderr: "" });
    expect(JSON.parse(server.received[0]?.body ?? "")).toEqual({ image: "alpine", args: ["sleep", "9"] });
    expect(server.received).toHaveLength(1);
  });

  it("tells with --dry-run what would become of the job", async () => {
    const verdicts = [
      { runtime: "docker", fits: true, reasons: [] },
      { runtime: "stub", fits: false, reasons: [{ code: "EXPLICIT", message: "only when named" }] },
    ];
    const cost = { amountUsd: 0, basis: "local" };
    server.routes["POST /jobs"] = (_, response) => json(response, { spec: {}, runtime: "docker", verdicts, cost });
    const fits = await runLongshore([...endpoint, "run", "--dry-run", "alpine"]);
    expect(fits.code).toBe(0);
    expect(fits.stdout).toBe(
      "Runtime: docker\nCost: 0 USD (local)\ndocker  fits\nstub    does not fit  only when named\n",
    );
    // Regression: what fits nowhere has no cost.
    const none = { spec: {}, runtime: null, verdicts: verdicts.slice(1), cost: null };
    server.routes["POST /jobs"] = (_, response) => json(response, none);
    const fitsNowhere = await runLongshore([...endpoint, "run", "--dry-run", "alpine"]);
    expect([fitsNowhere.code, fitsNowhere.stdout]).toEqual([
      2,
      "Runtime: none fits\nstub  does not fit  only when named\n",
    ]);
  });

  it("goes on when its streams are cut, and loses no line", async () => {
    serveJob({ status: "SUCCEEDED", exitCode: 0 });
    let connections = 0;
    server.routes[`GET /jobs/${JOB_ID}/logs`] = (request, response) => {
      connections += 1;
      const last = Number(request.headers["last-event-id"] ?? 0);
      openStream(response).write(sse({ id: last + 1, event: "log", data: aLine(last + 1) }), () => {
        if (last < 3) response.destroy();
        else response.end(sse({ event: "end", data: aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 }) }));
      });
    };
    const { code, stdout } = await runLongshore([...endpoint, "run", "alpine"]);
    expect(stdout).toBe("line 1\nline 2\nline 3\nline 4\n");
    expect(code).toBe(0);
    expect(connections).toBe(4);
  });

  it("ends without a word when its reader has gone", async () => {
    serveJob({ status: "SUCCEEDED", exitCode: 0 });
    const streams = new Set<ServerResponse>();
    server.routes[`GET /jobs/${JOB_ID}/logs`] = (_, response) => {
      streams.add(openStream(response));
      response.write(sse({ id: 1, event: "log", data: aLine(1) }));
    };
    server.routes[`GET /jobs/${JOB_ID}/events`] = (_, response) => {
      openStream(response);
    };
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await running.seen("line 1");
    running.child.stdout?.destroy();
    for (const stream of streams)
      for (const seq of [2, 3]) stream.write(sse({ id: seq, event: "log", data: aLine(seq) }));
    const { code, stderr } = await running.exited;
    expect({ code, stderr }).toEqual({ code: 141, stderr: `${JOB_ID}\n` });
  });

  it("still tells the end when nobody reads its standard error", async () => {
    serveJob({ ...failed("USER_CODE"), exitCode: 3 }, [aLine(1)]);
    const running = startLongshore([...endpoint, "run", "alpine"]);
    running.child.stderr?.destroy();
    expect(await running.exited).toMatchObject({ code: 3, stdout: "line 1\n" });
  });
});

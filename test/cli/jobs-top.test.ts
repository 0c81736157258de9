import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { bytes, topOf } from "../../cli/top.ts";
import type { JobUsage, Usage } from "../../sdk/types.ts";
import { aJob, type ContractServer, json, problem, type Route, startContractServer } from "../sdk/contract-server.ts";
import { runInProcess } from "./in-process.ts";

const START = Date.parse("2026-01-02T03:00:00.000Z");
const at = (seconds: number) => new Date(START + seconds * 1000).toISOString();

function used(name: string, cpuSeconds: number | null, over: Partial<JobUsage> = {}): JobUsage {
  const usage = {
    cpuSeconds: cpuSeconds ?? 0,
    memoryBytes: 1024 ** 2 * (name.charCodeAt(0) - 96),
    memoryPeakBytes: null,
    networkReceivedBytes: 2048,
    networkSentBytes: null,
    diskReadBytes: 0,
    diskWrittenBytes: 3 * 1024 ** 3,
  };
  const ids = { jobId: `job_${name}`, name, status: "RUNNING", phase: "running", runtime: "docker" } as const;
  return { ...ids, attempt: 1, lane: "default", startedAt: at(0), usage: cpuSeconds === null ? null : usage, ...over };
}

function usageOf(seconds: number, items: JobUsage[], over: Partial<Usage> = {}): Usage {
  return { at: at(seconds), items, leftOut: 0, failures: [], ...over };
}

describe("the share of a CPU", () => {
  const shares = (now: Usage, before?: Usage) =>
    Object.fromEntries(topOf(now, { before, sort: "cpu" }).map(({ name, cpuPercent }) => [name, cpuPercent]));

  it("is what was used between two looks, and not known by one", () => {
    const before = usageOf(10, [used("a", 5), used("b", 1), used("c", null)]);
    const now = usageOf(12, [used("a", 8), used("b", 1), used("c", 1), used("d", null)]);
    expect(shares(now, before)).toEqual({ a: 150, b: 0, c: null, d: null });
    expect(shares(now)).toEqual({ a: null, b: null, c: null, d: null });
  });

  it("is that since its start of one that has come meanwhile, as an attempt does that follows another", () => {
    const before = usageOf(10, [used("a", 50)]);
    const now = usageOf(12, [used("a", 1, { attempt: 2, startedAt: at(11) }), used("b", 0.5, { startedAt: at(11) })]);
    expect(shares(now, before)).toEqual({ a: 100, b: 50 });
  });

  it("is never below nothing, and not known of two looks at one moment", () => {
    const before = usageOf(10, [used("a", 5)]);
    expect(shares(usageOf(12, [used("a", 4)]), before)).toEqual({ a: 0 });
    expect(shares(usageOf(10, [used("a", 6)]), before)).toEqual({ a: null });
  });
});

describe("the order", () => {
  it("is by what is asked for; what is not known comes last", () => {
    const items = [used("c", 1, { startedAt: at(5) }), used("a", 3, { startedAt: null }), used("b", null)];
    const before = usageOf(
      1,
      items.map((item) => ({ ...item, usage: item.usage && { ...item.usage, cpuSeconds: 0 } })),
    );
    const names = (sort: "cpu" | "mem" | "age") => topOf(usageOf(9, items), { before, sort }).map(({ name }) => name);
    expect(names("cpu")).toEqual(["a", "c", "b"]);
    expect(names("mem")).toEqual(["c", "a", "b"]);
    expect(names("age")).toEqual(["b", "c", "a"]);
  });
});

it.each<[number | null | undefined, string]>([
  [null, "-"],
  [undefined, "-"],
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1024 ** 2 * 1.5, "1.5 MiB"],
  [1024 ** 6, "1024.0 PiB"],
])("%s bytes are shown as %s", (n, shown) => {
  expect(bytes(n)).toBe(shown);
});

/** A home that tells these looks one after the other, and the last one from then on. */
async function telling(looks: Usage[], routes: Record<string, Route> = {}) {
  let next = 0;
  const usage: Route = (_, response) => json(response, looks[Math.min(next++, looks.length - 1)]);
  const server = await startContractServer({ "GET /usage": usage, ...routes });
  return { server, [Symbol.asyncDispose]: () => server.close() };
}

// At the same time: each waits for its second look.
describe.concurrent("longshore jobs top", () => {
  const first = usageOf(10, [used("a", 5)]);
  const second = usageOf(12, [used("a", 6), used("b", 5, { startedAt: at(2) })]);
  const run = ({ url }: ContractServer, ...args: string[]) => runInProcess(["--endpoint", url, "jobs", "top", ...args]);

  it("shows once what was used between two looks", async ({ expect }) => {
    const failures = [{ runtime: "ecs", message: "ecs does not answer" }];
    await using home = await telling([first, { ...second, leftOut: 7, failures }]);
    const { code, stdout, stderr } = await run(home.server, "--once");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toEqual([
      "NAME  JOB    RUNTIME  AGE  CPU    MEMORY   NET IN / OUT  DISK READ / WRITTEN",
      "a     job_a  docker   12s  50.0%  1.0 MiB  2.0 KiB / -   0 B / 3.0 GiB",
      "b     job_b  docker   10s  50.0%  2.0 MiB  2.0 KiB / -   0 B / 3.0 GiB",
      "7 more run",
      "ecs does not answer",
      "",
    ]);
  });

  it("answers in JSON with the same, as one document", async ({ expect }) => {
    await using home = await telling([first, second]);
    const { stdout } = await run(home.server, "--once", "--json", "--sort", "mem");
    expect(JSON.parse(stdout)).toMatchObject({
      at: at(12),
      leftOut: 0,
      items: [
        { name: "b", cpuPercent: 50 },
        { name: "a", cpuPercent: 50, usage: { cpuSeconds: 6 } },
      ],
    });
  });

  it("refuses an order that there is not", async ({ expect }) => {
    await using home = await telling([first]);
    expect(await run(home.server, "--sort", "size")).toEqual({
      code: 2,
      stdout: "",
      stderr: 'longshore: --sort "size" is none of cpu, mem, age\n',
    });
  });

  it("tells what went wrong", async ({ expect }) => {
    const refuse: Route = (_, response) =>
      problem(response, { status: 503, code: "UNAVAILABLE", detail: "the table is away" });
    await using home = await telling([], { "GET /usage": refuse });
    const { code, stderr } = await run(home.server, "--once");
    expect(code).toBe(125);
    expect(stderr).toContain("the table is away");
  });

  /** Follows until what was written is enough, and ends it as Ctrl-C does. */
  async function follow(args: string[], isTTY: boolean, isEnough: (written: string) => boolean) {
    await using home = await telling([first, second]);
    const stdout = Object.assign(new PassThrough(), { isTTY });
    let written = "";
    let stop: () => void = () => undefined;
    stdout.setEncoding("utf8").on("data", (text: string) => {
      written += text;
      if (isEnough(written)) stop();
    });
    const onStopSignal = (handler: () => void) => {
      stop = handler;
      return () => undefined;
    };
    const argv = ["--endpoint", home.server.url, "jobs", "top", ...args];
    const { code, stderr } = await runInProcess(argv, {}, { stdout, onStopSignal });
    return { code, stderr, written };
  }

  it.each([true, false])("goes on until Ctrl-C, which ends it well (a terminal: %s)", async (isTTY) => {
    const { code, stderr, written } = await follow([], isTTY, (text) => text.includes("50.0%"));
    expect([code, stderr]).toEqual([0, ""]);
    expect(written.includes("\u001b[H\u001b[J")).toBe(isTTY);
    expect(written.match(/NAME/g)).toHaveLength(2);
  });

  it("writes one document a line while it follows", async ({ expect }) => {
    const { written } = await follow(["--json"], false, (text) => text.split("\n").length > 2);
    const documents = written.trimEnd().split("\n");
    expect(documents.map((text) => JSON.parse(text).at)).toEqual([at(10), at(12)]);
  });
});

describe("the trace that a command was started in", () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  it.each<[Record<string, string>, [string | undefined, string | undefined]]>([
    [{}, [undefined, undefined]],
    [{ TRACEPARENT: traceparent }, [traceparent, undefined]],
    [{ TRACEPARENT: traceparent, TRACESTATE: "a=b" }, [traceparent, "a=b"]],
    [{ TRACESTATE: "a=b" }, [undefined, undefined]],
    // Not even a header: the job is submitted without it.
    [{ TRACEPARENT: `${traceparent}\nX-Evil: 1` }, [undefined, undefined]],
    [{ TRACEPARENT: traceparent, TRACESTATE: "\u0000" }, [traceparent, undefined]],
  ])("is handed on with what it submits: %j", async (env, expected) => {
    const server = await startContractServer({ "POST /jobs": (_, response) => json(response, aJob(), 202) });
    try {
      const { code } = await runInProcess(["--endpoint", server.url, "run", "--detach", "alpine"], env);
      expect(code).toBe(0);
      const sent = server.received.find(({ method }) => method === "POST");
      expect([sent?.headers.traceparent, sent?.headers.tracestate]).toEqual(expected);
    } finally {
      await server.close();
    }
  });
});

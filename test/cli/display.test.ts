import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import type { Cli } from "../../cli/context.ts";
import { createDisplay } from "../../cli/display.ts";
import { aJob, anEvent, JOB_ID, json, openStream, sse, startContractServer } from "../sdk/contract-server.ts";
import { runInProcess } from "./in-process.ts";

function display(isTTY: boolean) {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 100, rows: 20 });
  let written = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const cli = {
    io: { stderr },
    paint: (_: unknown, text: string) => text,
    note: async (text: string) => {
      stderr.write(`${text}\n`);
    },
  } as unknown as Cli;
  return { shown: createDisplay(cli), written: () => stripVTControlCharacters(written) };
}

const half = { phase: "pulling", progress: { currentBytes: 5 * 1024 * 1024, totalBytes: 10 * 1024 * 1024 } } as const;

describe("the progress of a pull", () => {
  it("is a bar on a terminal, and goes away", async () => {
    const { shown, written } = display(true);
    shown.heartbeat(half);
    shown.heartbeat({ phase: "pulling", progress: { currentBytes: 0, totalBytes: 0 } });
    shown.heartbeat({});
    shown.clear();
    shown.clear();
    await shown.event(anEvent(1, { phase: "running" }));
    expect(written()).toMatch(/pulling \[[ =]*\] \d+% of 10 MiB/);
    expect(written()).toMatch(/running\n$/);
  });

  it("is not shown elsewhere", () => {
    const { shown, written } = display(false);
    shown.heartbeat(half);
    shown.clear();
    expect(written()).toBe("");
  });
});

describe("a job that waits", () => {
  it("says why, once", async () => {
    const { shown, written } = display(false);
    const reason = { code: "QUEUE", message: "3 jobs are\u001b[2J before it", since: "" } as const;
    await shown.waiting(null);
    await shown.waiting(reason);
    await shown.waiting(reason);
    expect(written()).toBe("waiting: 3 jobs are before it\n");
  });

  it("says so in longshore run", async () => {
    const server = await startContractServer();
    const told = Promise.withResolvers<void>();
    const end = sse({ event: "end", data: aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 }) });
    const waitReason = { code: "RUNTIME_CONCURRENCY", message: "docker runs 64 of 64", since: "" } as const;
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    server.routes[`GET /jobs/${JOB_ID}`] = (_, response) => json(response, aJob({ waitReason }));
    for (const name of ["logs", "events"]) {
      server.routes[`GET /jobs/${JOB_ID}/${name}`] = async (_, response) => {
        openStream(response).write(sse({ event: "heartbeat", data: {} }));
        await told.promise;
        response.end(end);
      };
    }
    const stderr = new PassThrough();
    let written = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      written += text;
      if (written.includes("waiting: docker runs 64 of 64\n")) told.resolve();
    });
    const { code } = await runInProcess(["--endpoint", server.url, "run", "alpine"], {}, { stderr });
    await server.close();
    expect(code).toBe(0);
    expect(written.match(/waiting/g)).toHaveLength(1);
  });
});

import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "../../sdk/types.ts";
import {
  aJob,
  aLine,
  type ContractServer,
  JOB_ID,
  json,
  openStream,
  problem,
  sse,
  startContractServer,
} from "../sdk/contract-server.ts";
import { startLongshore } from "./spawn.ts";

let server: ContractServer;
let endpoint: string[];

beforeEach(async () => {
  server = await startContractServer();
  endpoint = ["--endpoint", server.url];
});
afterEach(async () => {
  await server.close();
});

describe("Ctrl-C", () => {
  let cancelled: PromiseWithResolvers<void>;
  let streams: ServerResponse[];

  beforeEach(() => {
    cancelled = Promise.withResolvers();
    streams = [];
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    for (const name of ["logs", "events"]) {
      server.routes[`GET /jobs/${JOB_ID}/${name}`] = (_, response) => {
        openStream(response);
        streams.push(response);
        if (name === "logs") response.write(sse({ id: 1, event: "log", data: aLine(1) }));
      };
    }
  });

  function end(over: Partial<Job>): void {
    for (const stream of streams) stream.end(sse({ event: "end", data: aJob({ phase: null, ...over }) }));
  }

  it.each(["SIGINT", "SIGTERM"] as const)("(%s) cancels the job, which then ends with 130", async (signal) => {
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = (_, response) => {
      json(response, aJob({ status: "RUNNING", phase: "running" }), 202);
      end({ status: "CANCELLED" });
    };
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await running.seen("line 1");
    running.child.kill(signal);
    const { code, stderr } = await running.exited;
    expect(code).toBe(130);
    expect(stderr).toContain(`${JOB_ID} CANCELLED`);
  });

  it("that comes too late leaves the job its own exit code", async () => {
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = (_, response) => {
      problem(response, { status: 409, code: "CONFLICT", detail: "the job has ended" });
      end({ status: "FAILED", exitCode: 7 });
    };
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await running.seen("line 1");
    running.child.kill("SIGINT");
    const { code, stderr } = await running.exited;
    expect(code).toBe(7);
    expect(stderr).not.toContain("has ended");
  });

  it("twice leaves at once, whatever becomes of the job", async () => {
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = () => cancelled.resolve();
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await running.seen("line 1");
    running.child.kill("SIGINT");
    await cancelled.promise;
    running.child.kill("SIGINT");
    expect((await running.exited).code).toBe(130);
  });

  it("while the job is being submitted cancels it as soon as it is known", async () => {
    const submitted = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    server.routes["POST /jobs"] = async (_, response) => {
      submitted.resolve();
      await release.promise;
      json(response, aJob(), 202);
    };
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = (_, response) => {
      json(response, aJob(), 202);
      cancelled.resolve();
    };
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await submitted.promise;
    running.child.kill("SIGINT");
    release.resolve();
    await cancelled.promise;
    await running.seen("line 1");
    end({ status: "CANCELLED" });
    expect((await running.exited).code).toBe(130);
  });

  it("tells when the job cannot be cancelled, and goes on", async () => {
    server.routes[`POST /jobs/${JOB_ID}/cancel`] = (_, response) =>
      problem(response, { status: 503, code: "UNAVAILABLE", detail: "the runtime is away" });
    const running = startLongshore([...endpoint, "run", "alpine"]);
    await running.seen("line 1");
    running.child.kill("SIGINT");
    await running.seen("cannot cancel: the runtime is away");
    end({ status: "SUCCEEDED", exitCode: 0 });
    expect((await running.exited).code).toBe(0);
  });
});

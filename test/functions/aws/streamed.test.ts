import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { Context } from "aws-lambda";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { streaming } from "../../../functions/aws/streamed.ts";
import { createWork } from "../../../functions/aws/work.ts";
import type { ApiEvent } from "../../../functions/http.ts";
import type { StreamResult } from "../../../functions/stream.ts";
import { silentLogger } from "./silent.ts";

let head: unknown;

beforeEach(() => {
  head = undefined;
  vi.stubGlobal("awslambda", {
    HttpResponseStream: {
      from(response: PassThrough, given: unknown) {
        head = given;
        return response;
      },
    },
  });
});

const event = (path: string, headers = {}, httpMethod = "GET") =>
  ({ path, httpMethod, headers, queryStringParameters: null, requestContext: { path } }) as unknown as ApiEvent;
const SSE = { Accept: "text/event-stream" };
const EVENTS = "/v1/jobs/job_A/events";

function handler(stream: (event: ApiEvent, signal: AbortSignal) => Promise<StreamResult>) {
  const work = createWork(silentLogger);
  work.begin(900_000);
  const query = async () => ({ statusCode: 200, headers: { "Content-Type": "application/json" }, body: "{}" });
  return { work, handle: streaming({ logger: silentLogger, work, stream, query }) };
}

function result(body: AsyncIterable<string>): StreamResult {
  return { statusCode: 200, headers: { "Content-Type": "text/event-stream" }, body };
}

describe("a function whose answers are streamed", () => {
  it("sends what comes, bit by bit, behind its status and headers", async () => {
    const { handle, work } = handler(async () =>
      result(
        (async function* () {
          yield "a";
          yield "b";
        })(),
      ),
    );
    const response = new PassThrough();
    const body = text(response);
    await handle({ event: event(EVENTS, SSE), response }, {} as Context);
    expect(await body).toBe("ab");
    expect(head).toMatchObject({ statusCode: 200, headers: { "Content-Type": "text/event-stream" } });
    work.end();
  });

  it("answers a question for one document with one, and a wrong method with a problem", async () => {
    const { handle, work } = handler(async () => {
      throw new Error("not asked for a stream");
    });
    for (const [method, status] of [
      ["GET", 200],
      ["PUT", 405],
    ] as const) {
      const response = new PassThrough();
      const body = text(response);
      await handle({ event: event(EVENTS, {}, method), response }, {} as Context);
      expect(JSON.parse(await body)).toMatchObject(status === 200 ? {} : { code: "METHOD_NOT_ALLOWED" });
      expect(head).toMatchObject({ statusCode: status });
    }
    work.end();
  });

  it("ends its source when the reader has gone", async () => {
    const ended = Promise.withResolvers<void>();
    const { handle, work } = handler(async (_, signal) =>
      result(
        (async function* () {
          try {
            yield "a";
            const aborted = Promise.withResolvers<void>();
            signal.addEventListener("abort", () => aborted.resolve());
            if (signal.aborted) aborted.resolve();
            await aborted.promise;
          } finally {
            ended.resolve();
          }
        })(),
      ),
    );
    const response = new PassThrough();
    const handled = handle({ event: event(EVENTS, SSE), response }, {} as Context);
    response.once("data", () => response.destroy());
    await ended.promise;
    await handled;
    work.end();
  });

  it("does not go on before a slow reader has taken what there is", async () => {
    let made = 0;
    const { handle, work } = handler(async () =>
      result(
        (async function* () {
          for (; made < 50; made++) yield "x".repeat(10_000);
        })(),
      ),
    );
    const response = new PassThrough({ highWaterMark: 20_000 });
    const handled = handle({ event: event(EVENTS, SSE), response }, {} as Context);
    await new Promise((resolve) => setImmediate(resolve));
    expect(made).toBeLessThan(10);
    expect((await text(response)).length).toBe(500_000);
    await handled;
    work.end();
  });
});

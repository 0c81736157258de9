import { createHash } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError, ChecksumError, ConnectionError, createClient } from "../../sdk/index.ts";
import type { Artifact } from "../../sdk/types.ts";
import { seeded } from "../lab/hostile-tar.ts";
import { type ContractServer, JOB_ID, problem, type Received, startContractServer } from "./contract-server.ts";

const BYTES = Buffer.from(Array.from({ length: 100_000 }, (_, n) => n % 251));
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const artifact = (over: Partial<Artifact> = {}): Artifact => ({
  name: "out/a b%.bin",
  path: "/out/a b%.bin",
  sizeBytes: BYTES.length,
  sha256: sha256(BYTES),
  contentType: "application/octet-stream",
  encoding: null,
  storedAt: "2026-01-02T03:04:05.000Z",
  ...over,
});
const PATH = `GET /jobs/${JOB_ID}/artifacts/out/a%20b%25.bin`;

let server: ContractServer;
beforeEach(async () => {
  server = await startContractServer();
});
afterEach(() => server.close());

/** Answers a range as it should be. */
function serve({ headers }: Pick<Received, "headers">, response: ServerResponse, bytes = BYTES): ServerResponse {
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  const about = { "content-length": bytes.length - from, "content-type": "application/octet-stream" };
  if (from === 0) return response.writeHead(200, about);
  return response.writeHead(206, { ...about, "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
}
const fromOf = ({ headers }: Pick<Received, "headers">) => Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);

async function downloaded(one = artifact(), options = {}): Promise<Buffer> {
  const client = createClient({ endpoint: server.url, headers: { "x-secret": "of the client" } });
  return Buffer.concat(await Array.fromAsync(client.jobs.download(JOB_ID, one, { backoffMs: () => 0, ...options })));
}

describe("a download", () => {
  it("gives the bytes", async () => {
    server.routes[PATH] = (request, response) => void serve(request, response).end(BYTES);
    expect((await downloaded()).equals(BYTES)).toBe(true);
    expect(server.received[0]?.headers).toMatchObject({ "accept-encoding": "identity" });
  });

  it("of nothing asks for nothing, and checks even that", async () => {
    const empty = artifact({ sizeBytes: 0, sha256: sha256(Buffer.alloc(0)) });
    expect(await downloaded(empty)).toHaveLength(0);
    await expect(downloaded(artifact({ sizeBytes: 0 }))).rejects.toThrow(ChecksumError);
    expect(server.received).toEqual([]);
  });

  it("goes on where it was, however often the connection is cut", async () => {
    const random = seeded(7);
    let cuts = 0;
    server.routes[PATH] = (request, response) => {
      serve(request, response);
      const rest = BYTES.subarray(fromOf(request));
      cuts += 1;
      if (cuts > 40) return void response.end(rest);
      // At least one byte each time: only silence in a row gives up.
      const length = 1 + random.below(2000);
      response.write(rest.subarray(0, length), () => response.destroy());
    };
    expect((await downloaded()).equals(BYTES)).toBe(true);
    expect(cuts).toBeGreaterThan(10);
  });

  it("gives up when nothing comes again and again", async () => {
    server.routes[PATH] = (_, response) => void response.destroy();
    await expect(downloaded(artifact(), { maxFailures: 3 })).rejects.toThrow(ConnectionError);
    expect(server.received).toHaveLength(3);
  });

  it("takes a connection that falls silent for a broken one", async () => {
    let asked = 0;
    server.routes[PATH] = (request, response) => {
      asked += 1;
      serve(request, response).write(BYTES.subarray(fromOf(request), fromOf(request) + 10));
      if (asked > 1) response.end(BYTES.subarray(fromOf(request) + 10));
    };
    expect((await downloaded(artifact(), { idleMs: 50 })).equals(BYTES)).toBe(true);
    expect(asked).toBe(2);
  });

  it("of other bytes than those that were stored is refused, also when they are more or fewer", async () => {
    const changed = Buffer.from(BYTES);
    changed[50_000]! ^= 1;
    server.routes[PATH] = (request, response) => void serve(request, response).end(changed);
    await expect(downloaded()).rejects.toThrow(ChecksumError);
    server.routes[PATH] = (_, response) => void response.writeHead(200).end(Buffer.concat([BYTES, BYTES]));
    await expect(downloaded()).rejects.toThrow(ChecksumError);
    server.routes[PATH] = (_, response) => void response.writeHead(200).end(BYTES.subarray(0, 10));
    await expect(downloaded(artifact(), { maxFailures: 2 })).rejects.toThrow(/begin|go on with byte 10/);
  });

  it("puts no byte in the wrong place when a server ignores the range", async () => {
    let asked = 0;
    server.routes[PATH] = (request, response) => {
      asked += 1;
      if (asked === 1) serve(request, response).write(BYTES.subarray(0, 100), () => response.destroy());
      else response.writeHead(200, { "content-length": BYTES.length }).end(BYTES);
    };
    await expect(downloaded(artifact(), { maxFailures: 2 })).rejects.toThrow(ApiError);
  });

  it("that is refused says why, and one that is aborted ends", async () => {
    server.routes[PATH] = (_, response) => problem(response, { status: 404, code: "NOT_FOUND", detail: "gone" });
    await expect(downloaded()).rejects.toMatchObject({ code: "NOT_FOUND", message: "gone" });
    expect(server.received).toHaveLength(1);
    await expect(downloaded(artifact(), { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });
});

describe("a download that is sent elsewhere", () => {
  let store: Server;
  let asked: { url: string; headers: Record<string, unknown> }[] = [];
  let answer: (request: Pick<Received, "headers">, response: ServerResponse) => void;
  let base: string;
  beforeEach(async () => {
    asked = [];
    answer = (request, response) => void serve(request, response).end(BYTES.subarray(fromOf(request)));
    store = createServer((request, response) => {
      asked.push({ url: request.url ?? "", headers: request.headers });
      answer({ headers: request.headers }, response);
    });
    await new Promise<void>((resolve) => store.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(store.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    store.closeAllConnections();
    await new Promise((resolve) => store.close(resolve));
  });
  const sendsTo = (location: string) => {
    server.routes[PATH] = (_, response) => void response.writeHead(307, { location }).end();
  };

  it("takes neither credentials nor a signature nor the client's headers along", async () => {
    sendsTo(`${base}/key?X-Amz-Signature=1`);
    const signed = createClient({
      endpoint: server.url,
      headers: { "x-secret": "of the client" },
      sign: ({ headers }) => ({
        ...headers,
        authorization: "AWS4-HMAC-SHA256 secret",
        "x-amz-security-token": "secret",
      }),
    });
    for (const bytes of [
      await downloaded(),
      Buffer.concat(await Array.fromAsync(signed.jobs.download(JOB_ID, artifact()))),
    ]) {
      expect(bytes.equals(BYTES)).toBe(true);
    }
    expect(server.received.map(({ headers }) => [headers["x-secret"], headers.authorization])).toEqual([
      ["of the client", undefined],
      ["of the client", "AWS4-HMAC-SHA256 secret"],
    ]);
    expect(asked).toHaveLength(2);
    expect(JSON.stringify(asked)).not.toContain("secret");
    expect(JSON.stringify(asked)).not.toContain("of the client");
  });

  it("asks for another address when the first one is good no more, and goes on where it was", async () => {
    let given = 0;
    server.routes[PATH] = (_, response) => {
      given += 1;
      response.writeHead(307, { location: `${base}/${given}` }).end();
    };
    answer = (request, response) => {
      const turn = asked.length;
      if (turn === 1) serve(request, response).write(BYTES.subarray(0, 500), () => response.destroy());
      else if (turn === 2) response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
      else serve(request, response).end(BYTES.subarray(fromOf(request)));
    };
    expect((await downloaded()).equals(BYTES)).toBe(true);
    expect(asked.map(({ url }) => url)).toEqual(["/1", "/2", "/3"]);
    expect(asked[2]?.headers.range).toMatch(/^bytes=\d+-$/);
  });

  it.each(["http://store.example/key", "file:///etc/passwd", "", "https://user:word@store.example/", "//"])(
    "does not go to %j",
    async (location) => {
      sendsTo(location);
      await expect(downloaded(artifact(), { maxFailures: 1 })).rejects.toThrow(ConnectionError);
      expect(asked).toEqual([]);
    },
  );

  it("is not sent on from there", async () => {
    sendsTo(`${base}/key`);
    answer = (_, response) => void response.writeHead(302, { location: `${server.url}/api/v1/health` }).end();
    await expect(downloaded(artifact(), { maxFailures: 1 })).rejects.toThrow(ApiError);
    expect(server.received.map(({ path }) => path)).not.toContain("/health");
  });
});

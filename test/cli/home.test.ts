import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HomeLink, type LinkOptions, linkHome } from "../../cli/home.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { Settings } from "../../local/settings.ts";
import { type ContractServer, json, startContractServer } from "../sdk/contract-server.ts";
import { temporaryDirectory } from "./spawn.ts";

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let running: ContractServer;
let embedded: ContractServer;
let opened: Settings[];
let links: HomeLink[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  running = await startContractServer();
  embedded = await startContractServer();
  opened = [];
  links = [];
});
afterEach(async () => {
  for (const link of links) await link[Symbol.asyncDispose]();
  await running.close();
  await embedded.close();
  await directory[Symbol.asyncDispose]();
});

function link(env: Record<string, string>, options: Partial<LinkOptions> = {}): HomeLink {
  const made = linkHome({
    endpoint: undefined,
    io: {
      env: { LONGSHORE_HOME: directory.path, ...env },
      openHome: async (settings) => {
        opened.push(settings);
        return { url: embedded.url, close: () => embedded.close() };
      },
    },
    returnMs: 0,
    ...options,
  });
  links.push(made);
  return made;
}

async function announce(url: unknown): Promise<void> {
  await writeFile(join(directory.path, "endpoint.json"), JSON.stringify({ url, pid: 1 }));
}

/** A port that nobody listens on any more. */
async function deadUrl(): Promise<string> {
  const gone = await startContractServer();
  await gone.close();
  return gone.url;
}

describe("the home of a command", () => {
  it("is the endpoint that was given, whatever else runs", async () => {
    await announce(embedded.url);
    const home = link({}, { endpoint: running.url });
    await home.client.runtimes.list().catch(() => undefined);
    expect(running.received.map((request) => request.path)).toEqual(["/runtimes"]);
    expect(home.embedded()).toBe(false);
  });

  it("is the one that the data directory names", async () => {
    await announce(running.url);
    const home = link({});
    expect((await home.client.health()).ok).toBe(true);
    expect(running.received.map((request) => request.path)).toEqual(["/health", "/health"]);
    expect(opened).toEqual([]);
  });

  it("is the one that the data directory names also when it is not well", async () => {
    await announce(running.url);
    running.routes["GET /health"] = (_, response) => json(response, { ok: false, version: "1", checks: [] }, 503);
    expect((await link({}).client.health()).ok).toBe(false);
    expect(opened).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["names nobody", null],
    ["names something that is no URL", "nowhere"],
    ["names a number", 7],
  ])("is hosted here when the data directory %s", async (_, url) => {
    await announce(url);
    const home = link({});
    await home.client.health();
    expect(home.embedded()).toBe(true);
    expect(opened).toMatchObject([{ home: directory.path, port: 0, logLevel: "warn" }]);
  });

  it("is hosted here when the data directory holds garbage, or is not there at all", async () => {
    await writeFile(join(directory.path, "endpoint.json"), "{");
    await link({}).client.health();
    await link({ LONGSHORE_HOME: join(directory.path, "none"), LONGSHORE_LOG_LEVEL: "debug" }).client.health();
    expect(opened).toMatchObject([{ logLevel: "warn" }, { logLevel: "debug" }]);
  });

  it("is hosted here when what the directory names has gone", async () => {
    await announce(await deadUrl());
    await link({}).client.health();
    expect(opened).toHaveLength(1);
  });

  it("is not what answers there but is no Longshore", async () => {
    const other: Server = createServer((_, response) => response.end('{"hello":"world"}'));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    await announce(`http://127.0.0.1:${(other.address() as AddressInfo).port}`);
    await link({}).client.health();
    expect(opened).toHaveLength(1);
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  });

  it("is the one on the port that was named", async () => {
    await link({ LONGSHORE_PORT: String(running.port) }).client.health();
    expect(running.received).toHaveLength(2);
    expect(opened).toEqual([]);
  });

  it("is the one on the port when no data directory was chosen", async () => {
    await mkdir(join(directory.path, ".longshore"));
    const env = { LONGSHORE_HOME: "", HOME: directory.path, LONGSHORE_PORT: String(running.port) };
    await link(env).client.health();
    expect(running.received).toHaveLength(2);
  });

  it("is looked for once for calls at the same time", async () => {
    const home = link({});
    await Promise.all([home.client.health(), home.client.health(), home.client.health()]);
    expect(opened).toHaveLength(1);
  });

  it("is waited for while another process holds the directory and does not answer yet", async () => {
    let tries = 0;
    const home = link(
      {},
      {
        io: {
          env: { LONGSHORE_HOME: directory.path },
          openHome: async () => {
            tries += 1;
            if (tries === 2) await announce(running.url);
            throw new LongshoreError("CONFLICT", "the data directory is in use");
          },
        },
      },
    );
    expect((await home.client.health()).ok).toBe(true);
    expect(tries).toBe(2);
    expect(home.embedded()).toBe(false);
  });

  it("is given up when another process holds the directory and never answers", async () => {
    const openHome = async () => {
      throw new LongshoreError("CONFLICT", "the data directory is in use");
    };
    const home = link({}, { io: { env: { LONGSHORE_HOME: directory.path }, openHome }, lockedMs: 0 });
    await expect(home.client.health()).rejects.toThrow("the data directory is in use");
  });

  it("is not tried again when it cannot be opened for another reason", async () => {
    let tries = 0;
    const openHome = async () => {
      tries += 1;
      throw new LongshoreError("UNKNOWN", "the ledger is broken");
    };
    const home = link({}, { io: { env: { LONGSHORE_HOME: directory.path }, openHome } });
    await expect(home.client.health()).rejects.toThrow("the ledger is broken");
    expect(tries).toBe(1);
  });

  it("is not opened with a setting that nobody can understand", async () => {
    await expect(link({ LONGSHORE_PORT: "many" }).client.health()).rejects.toThrow("LONGSHORE_PORT must be");
    expect(opened).toEqual([]);
  });
});

describe("a home that stops answering", () => {
  it("is looked for again, and found where it came back", async () => {
    await announce(running.url);
    const home = link({}, { returnMs: 60_000 });
    await home.client.health();
    await running.close();
    const back = await startContractServer();
    await announce(back.url);
    expect((await home.client.health()).ok).toBe(true);
    expect(back.received.length).toBeGreaterThan(0);
    expect(opened).toEqual([]);
    running = back;
  });

  it("is replaced by one in this process when it stays away", async () => {
    await announce(running.url);
    const home = link({});
    await home.client.health();
    await running.close();
    expect((await home.client.health()).ok).toBe(true);
    expect(home.embedded()).toBe(true);
    running = await startContractServer();
  });

  it("is not opened a second time when the one in this process drops a connection", async () => {
    const home = link({});
    let calls = 0;
    embedded.routes["GET /runtimes"] = (_, response) => {
      calls += 1;
      if (calls === 1) response.destroy();
      else json(response, { items: [] });
    };
    expect(await home.client.runtimes.list()).toEqual([]);
    expect(calls).toBe(2);
    expect(opened).toHaveLength(1);
  });
});

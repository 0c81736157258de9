import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import Docker from "dockerode";

const START_LIMIT_MS = 10_000;
const run = promisify(execFile);

export interface TestRegistry {
  /** `127.0.0.1:PORT`: Docker speaks plain HTTP to a loopback registry. */
  host: string;
  /** Credentials that it takes; undefined for an open one. */
  auth: { username: string; password: string } | undefined;
  /** Stops the server and removes its directory. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts an empty registry (`docker-registry`, and `htpasswd` of apache2-utils for one with a password) on a free loopback port, with basic auth when `auth` is given.
 * The caller must call `stop`.
 */
export async function startRegistry(auth?: { username: string; password: string }): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  if (auth !== undefined) {
    const { stdout } = await run("htpasswd", ["-Bbn", auth.username, auth.password]);
    await writeFile(join(folder, "htpasswd"), stdout);
  }
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: { addr: host },
    ...(auth === undefined ? {} : { auth: { htpasswd: { realm: "test", path: join(folder, "htpasswd") } } }),
  };
  const file = join(folder, "config.yml");
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config));
  const server = spawn("docker-registry", ["serve", file], { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => {
    server.once("exit", () => resolve());
    server.once("error", () => resolve());
  });
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) server.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answering(`http://${host}/v2/`, exited);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, auth, stop };
}

/** Pushes a local image to the registry as `repository:tag`; resolves with the name to pull. Leaves no local tag. */
export async function pushImage(registry: TestRegistry, source: string, target: string): Promise<string> {
  const client = new Docker();
  const name = `${registry.host}/${target}`;
  const [repo, tag] = [name.slice(0, name.lastIndexOf(":")), name.slice(name.lastIndexOf(":") + 1)];
  await client.getImage(source).tag({ repo, tag });
  try {
    const stream = await client.getImage(name).push({ authconfig: { ...registry.auth, serveraddress: registry.host } });
    await new Promise<void>((resolve, reject) => {
      client.modem.followProgress(stream, (error, output: { error?: string }[] = []) => {
        const refused = output.find((one) => one.error !== undefined);
        if (error) reject(error);
        else if (refused) reject(new Error(refused.error));
        else resolve();
      });
    });
  } finally {
    await client.getImage(name).remove();
  }
  return name;
}

/** A port on loopback that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answering(url: string, exited: Promise<void>): Promise<void> {
  let gone = false;
  void exited.then(() => {
    gone = true;
  });
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && !gone) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer !== undefined) {
      await answer.body?.cancel();
      return;
    }
    await delay(25);
  }
  throw new Error(gone ? "the registry ended at once" : `the registry did not answer within ${START_LIMIT_MS} ms`);
}

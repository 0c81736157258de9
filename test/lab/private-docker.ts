import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import Docker from "dockerode";

const START_LIMIT_MS = 30_000;

/** A Docker Engine of a test's own, which it may stop, kill and start again. */
export interface PrivateDocker {
  /** `unix://…`: for `dockerHost`. */
  host: string;
  client: Docker;
  start(): Promise<void>;
  /** Sends the signal and resolves when the daemon has ended. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Ends it and all that it started, and removes its directories. */
  dispose(): Promise<void>;
}

/** Starts a second dockerd (as root), without networks, in a temporary directory. */
export async function startPrivateDocker(): Promise<PrivateDocker> {
  const folder = await mkdtemp(join(tmpdir(), "ls-docker-"));
  const socket = join(folder, "docker.sock");
  const pidFile = join(folder, "docker.pid");
  const execRoot = join(folder, "exec");
  const containerdPidFile = join(execRoot, "containerd", "containerd.pid");
  const logFile = join(folder, "dockerd.log");
  await mkdir(execRoot);
  const client = new Docker({ socketPath: socket });
  let daemon: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();

  const start = async () => {
    const places = ["--data-root", join(folder, "data"), "--exec-root", execRoot, "--pidfile", pidFile];
    const network = ["--bridge=none", "--iptables=false", "--ip6tables=false"];
    const log = openSync(logFile, "a");
    const command = ["--net", "dockerd", ...places, ...network, "-H", `unix://${socket}`];
    // In a network of its own: without a bridge it would remove the docker0 of the machine's own daemon.
    // What a daemon that is slow to answer is asked for, it writes to its temporary directory.
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn("unshare", command, { stdio: ["ignore", log, log], env });
    closeSync(log);
    daemon = child;
    let gone = false;
    exited = new Promise((resolve) => {
      child.once("exit", () => {
        gone = true;
        resolve();
      });
    });
    const deadline = Date.now() + START_LIMIT_MS;
    while (!gone && Date.now() < deadline) {
      const answers = await client.ping().then(
        () => true,
        () => false,
      );
      if (answers) return;
      await delay(50);
    }
    const said = (await readFile(logFile, "utf8")).slice(-1000);
    throw new Error(`the private dockerd ${gone ? "ended at once" : "did not answer in time"}: ${said}`);
  };
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    const containerd = await readFile(containerdPidFile, "utf8").catch(() => "");
    daemon?.kill(signal);
    await exited;
    // The kernel ends containerd along with its parent; a new daemon that still sees the old one would wait for it.
    while (containerd !== "" && existsSync(`/proc/${containerd.trim()}`)) await delay(10);
    // A killed daemon leaves its file behind, and the next one takes whoever has the number now for a living one.
    await rm(pidFile, { force: true });
  };
  const dispose = async () => {
    await end("SIGTERM");
    await killRest(folder);
    await unmountUnder(folder);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { host: `unix://${socket}`, client, start, end, dispose };
}

/**
 * A daemon that was killed leaves what its containers run in; each names the directory on its command line, or, where it
 * was just being started, in its environment.
 */
async function killRest(folder: string): Promise<void> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const environment = await readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
    if (!command.includes(folder) && !environment.includes(`_LIBCONTAINER_STATEDIR=${folder}`)) continue;
    try {
      process.kill(Number(name), "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** It also leaves its mounts, the innermost last. */
async function unmountUnder(folder: string): Promise<void> {
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse()) {
    await promisify(execFile)("umount", ["--lazy", mount]);
  }
}

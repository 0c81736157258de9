import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSqliteTable } from "../../adapters/table/sqlite/index.ts";
import { LABELS } from "../../engine/naming.ts";
import { describeWith } from "../lab/counterparts.ts";
import { BUSYBOX_IMAGE, removeHome } from "../lab/docker.ts";
import type { LocalHome } from "../scenarios/local-home.ts";
import { temporaryFolder } from "../scenarios/local-home.ts";
import { lookAt } from "./grounds.ts";

const HOME = "home_00000000000000000000CHAOST";
const JOB = "job_01KCHAOS0000000000ABCDEFGHJK";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let home: LocalHome;

beforeEach(async () => {
  folder = await temporaryFolder();
  home = { data: join(folder.path, "data") } as LocalHome;
  await mkdir(home.data);
});
afterEach(() => folder.remove());

describe("a look at plain processes from outside", () => {
  it("sees each start that a command noted, also the second of one attempt", async () => {
    await using outside = await lookAt("process", home, folder.path);
    expect(await outside.starts()).toEqual([]);
    for (let n = 0; n < 2; n++) await appendFile(join(folder.path, "starts"), `${JOB} 1\n`);
    await appendFile(join(folder.path, "starts"), `${JOB} 2\n`);
    expect(await outside.starts()).toEqual([1, 1, 2].map((attempt) => ({ jobId: JOB, attempt })));
  });

  it.each([
    ["a command, by its environment", [] as string[], () => ({ HOME: `${home.data}/attempts/x/work` })],
    ["a supervisor, by its attempt's name", [`longshore-${JOB.slice(-10).toLowerCase()}-x-a1`], () => ({})],
  ])("sees %s", async (_, args, env) => {
    await using outside = await lookAt("process", home, folder.path);
    expect(await outside.left([JOB])).toEqual([]);
    const script = "console.log('up'); process.stdin.resume()";
    const child = spawn(process.execPath, ["-e", script, "--", ...args], { env: env() });
    await once(child.stdout, "data");
    expect(await outside.left([JOB])).toEqual([expect.stringContaining(`process ${child.pid} `)]);
    child.stdin.end();
    await once(child, "exit");
    expect(await outside.left([JOB])).toEqual([]);
  });

  it("sees a directory that was not removed", async () => {
    await using outside = await lookAt("process", home, folder.path);
    await mkdir(join(home.data, "attempts", "longshore-x-a1"), { recursive: true });
    expect(await outside.left([])).toEqual(["directory attempts/longshore-x-a1"]);
  });
});

describeWith("docker", "a look at Docker from outside", () => {
  const docker = new Docker();

  beforeEach(async () => {
    const table = createSqliteTable({ file: join(home.data, "ledger.db") });
    await table.commit([{ kind: "put", item: { pk: "HOME", sk: "HOME", homeId: HOME } }]);
    await table.close();
  });
  afterEach(() => removeHome(HOME, docker));

  it("sees every start of a container, what there is of it, and the network once the home is down", async () => {
    await using outside = await lookAt("docker", home, folder.path);
    const Labels = { [LABELS.home]: HOME, [LABELS.job]: JOB, [LABELS.attempt]: "3" };
    const options = { Image: BUSYBOX_IMAGE, Cmd: ["true"], Labels, HostConfig: { NetworkMode: "none" } };
    const container = await docker.createContainer(options);
    for (let n = 0; n < 2; n++) {
      await container.start();
      await container.wait();
    }
    const network = await docker.createNetwork({ Name: `chaos-${process.pid}`, Labels: { [LABELS.home]: HOME } });
    await vi.waitFor(async () => {
      expect(await outside.starts()).toEqual(Array(2).fill({ jobId: JOB, attempt: 3 }));
    });
    expect(await outside.left([JOB])).toHaveLength(1);
    expect(await outside.left([JOB], true)).toHaveLength(2);
    await container.remove();
    await network.remove();
    expect(await outside.left([JOB], true)).toEqual([]);
    expect(outside.blindness()).toBeNull();
  });
});

import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { SHUTDOWN } from "../../../../engine/abort.ts";
import { LongshoreError } from "../../../../engine/errors.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { LABELS } from "../../../../engine/naming.ts";
import type { Launch, RuntimeAdapter, RuntimeStatus } from "../../../../engine/ports/runtime.ts";
import type { JobSpecInput } from "../../../../engine/spec/schema.ts";
import { launchOf, readLines, untilLine } from "../../../contracts/runtime-harness.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox, leftovers } from "../../../lab/docker.ts";

const never = () => new AbortController().signal;

describeWith("docker", "docker runtime", () => {
  const homeId = mintHomeId(Date.now());
  const client = new Docker();
  let adapter: RuntimeAdapter;
  let folder: string;
  let allowed: string;

  beforeAll(async () => {
    await ensureBusybox();
    folder = await mkdtemp(join(tmpdir(), "longshore-mounts-"));
    allowed = join(folder, "allowed");
    await mkdir(join(allowed, "data"), { recursive: true });
    await mkdir(join(folder, "secret"));
    await writeFile(join(allowed, "data", "file"), "content\n");
    await symlink(join(folder, "secret"), join(allowed, "link"));
    adapter = createDockerRuntime({ homeId, allowedMounts: [allowed], allowedCapabilities: ["CAP_CHOWN"] });
  }, 60_000);
  afterAll(async () => {
    await adapter.dispose();
    await rm(folder, { recursive: true });
    expect(await leftovers(homeId)).toEqual([]);
  });

  const shell = (script: string, spec: Partial<JobSpecInput> = {}): Launch =>
    launchOf({ image: BUSYBOX_IMAGE }, { act: "shell", script }, { spec: { network: { mode: "none" }, ...spec } });
  const run = async (one: Launch): Promise<{ status: RuntimeStatus; out: string[] }> => {
    const ref = await adapter.submit(one, never());
    const status = await adapter.wait(ref, never());
    const lines = await readLines(adapter, ref);
    await adapter.cleanup(ref);
    return { status, out: lines.map((line) => line.text) };
  };
  const refused = async (one: Launch): Promise<LongshoreError> => {
    const error = await adapter.submit(one, never()).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LongshoreError);
    expect(await adapter.find(one.externalName)).toBeUndefined();
    return error as LongshoreError;
  };

  describe("limits", () => {
    it("tells that a container ran out of its 16 MiB", async () => {
      const { status } = await run(shell("tail /dev/zero", { resources: { memoryMiB: 16 } }));
      expect(status).toMatchObject({ phase: "exited", exitCode: 137, oom: true, failure: null });
    });

    it("does not call it out of memory when the command coped with a child's end", async () => {
      const { status } = await run(shell("tail /dev/zero; exit 0", { resources: { memoryMiB: 16 } }));
      expect(status).toMatchObject({ exitCode: 0, oom: false });
    });

    it("bounds the processes", async () => {
      const few = createDockerRuntime({ homeId, allowedMounts: [], pidsLimit: 8 });
      const ref = await few.submit(shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo all"), never());
      await few.wait(ref, never());
      const lines = await readLines(few, ref);
      await few.cleanup(ref);
      await few.dispose();
      expect(lines.map((line) => line.text).join("\n")).toMatch(/can't fork/);
    });

    it("refuses more CPUs than there are, in words about the field", async () => {
      const error = await refused(shell("true", { resources: { cpu: 1000 } }));
      expect(error.code).toBe("VALIDATION");
      expect(error.message).toMatch(/^resources\.cpu: /);
    });

    it("drops every capability but those that are allowed and asked for", async () => {
      const mask = async (spec: Partial<JobSpecInput>) =>
        (await run(shell("grep CapEff /proc/self/status", spec))).out[0];
      expect(await mask({})).toBe("CapEff:\t0000000000000000");
      expect(await mask({ security: { addCapabilities: ["CHOWN"] } })).toBe("CapEff:\t0000000000000001");
      const refusal = await refused(shell("true", { security: { addCapabilities: ["SYS_ADMIN"] } }));
      expect(refusal).toMatchObject({ code: "VALIDATION", violations: [{ path: "security.addCapabilities.0" }] });
    });

    it("cannot gain privileges", async () => {
      const { out } = await run(shell("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"));
      expect(out).toEqual(["NoNewPrivs:\t1", "Seccomp:\t2"]);
    });

    it("keeps a read-only root, with a place for temporary files", async () => {
      const script = "touch /x && echo root; touch /tmp/x && echo tmp";
      const { out } = await run(shell(script, { security: { readOnlyRoot: true } }));
      expect(out.filter((line) => line === "root" || line === "tmp")).toEqual(["tmp"]);
    });

    it("runs as the user and in the directory of the spec", async () => {
      const { out } = await run(shell("id -u; id -g; pwd", { user: "1234:4321", workdir: "/etc" }));
      expect(out).toEqual(["1234", "4321", "/etc"]);
    });

    it("refuses a user that the image does not have", async () => {
      const error = await refused(shell("true", { user: "zork" }));
      expect(error.code).toBe("VALIDATION");
      expect(error.message).toContain('"zork"');
    });

    it("lets a plain command that heeds no signal be ended by SIGTERM", async () => {
      const one = launchOf(
        { image: BUSYBOX_IMAGE },
        { act: "shell", script: "" },
        { spec: { network: { mode: "none" } } },
      );
      const ref = await adapter.submit(
        { ...one, spec: { ...one.spec, command: ["sleep", "1000"], args: [] } },
        never(),
      );
      expect(await adapter.cancel(ref, 100)).toBe(true);
      expect(await adapter.status(ref)).toMatchObject({ exitCode: 143, failure: null });
      await adapter.cleanup(ref);
    });

    it.each([
      [["/no/such/command"], 127],
      [["/etc/passwd"], 126],
    ])("ends with the shell's own exit code for the command %j", async (command, exitCode) => {
      const { status, out } = await run(shell("", { command, args: [] }));
      expect(status).toMatchObject({ phase: "exited", exitCode });
      expect(out.join("\n")).toContain(command[0]);
    });

    it("repeats no value of the environment in an error", async () => {
      const one = { ...shell("true"), env: { "": "hunter2-hunter2" } };
      const error = await refused(one);
      expect(error.code).toBe("VALIDATION");
      expect(`${error.message} ${error.cause}`).not.toContain("hunter2");
    });
  });

  describe("volumes", () => {
    const volume = (source: string, readOnly = false) => ({ volumes: [{ source, target: "/v", readOnly }] });

    it("mounts what is under an allowed directory", async () => {
      const { out } = await run(shell("cat /v/file; echo new > /v/written", volume(join(allowed, "data"))));
      expect(out).toEqual(["content"]);
      expect(await readFile(join(allowed, "data", "written"), "utf8")).toBe("new\n");
    });

    it("keeps a read-only volume read-only", async () => {
      const { out } = await run(shell("touch /v/x || echo no", volume(join(allowed, "data"), true)));
      expect(out).toContain("no");
    });

    it.each([
      ["outside", () => join(folder, "secret")],
      ["a sibling that begins alike", () => `${allowed}-too`],
      ["behind a link", () => join(allowed, "link")],
      ["beneath a link", () => join(allowed, "link", "deeper")],
      ["up and out", () => join(allowed, "..", "secret")],
      ["missing", () => join(allowed, "none")],
      ["relative", () => "data"],
      ["the root", () => "/"],
    ])("refuses a source that is %s, at the check and at the start", async (_, source) => {
      await mkdir(`${allowed}-too`, { recursive: true });
      const spec = shell("true").spec;
      const bad = { ...spec, volumes: [{ source: source(), target: "/v", readOnly: true }] };
      expect(adapter.check?.(bad)).toMatchObject([{ path: "volumes.0.source", code: "not_allowed" }]);
      expect(await refused({ ...shell("true"), spec: bad })).toMatchObject({ code: "VALIDATION" });
    });

    it("accepts what it would mount", () => {
      const { spec } = shell("true", { security: { addCapabilities: ["CHOWN"] } });
      const good = { ...spec, volumes: [{ source: join(allowed, "data"), target: "/v", readOnly: true }] };
      expect(adapter.check?.(good)).toEqual([]);
    });
  });

  describe("names and aborts", () => {
    /** The maker of a container is given some seconds to start it: here each look takes five of them. */
    const fastClock = (): (() => number) => {
      let nowMs = Date.now();
      return () => (nowMs += 5_000);
    };

    it("never adopts a stranger's container, whatever its state", async () => {
      const one = shell("true");
      const stranger = await client.createContainer({ name: one.externalName, Image: BUSYBOX_IMAGE, Cmd: ["true"] });
      const error = await adapter.submit(one, never()).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "UNKNOWN", providerCode: "409" });
      expect((error as Error).message).toContain(one.externalName);
      expect(await adapter.find(one.externalName)).toBeUndefined();
      expect((await stranger.inspect()).State.Status).toBe("created");
      await stranger.remove();
    });

    it("replaces what an earlier submit had only created, and needs no image for what had run", async () => {
      const one = shell("echo started");
      const labels = {
        [LABELS.home]: homeId,
        [LABELS.job]: one.jobId,
        [LABELS.attempt]: "1",
        [LABELS.cleanup]: "always",
      };
      const made = await client.createContainer({
        name: one.externalName,
        Image: BUSYBOX_IMAGE,
        Cmd: ["echo", "earlier"],
        Labels: labels,
        HostConfig: { NetworkMode: "none" },
      });
      const later = createDockerRuntime({ homeId, allowedMounts: [], clock: fastClock() });
      const ref = await later.submit(one, never());
      await later.dispose();
      // A start of that one which comes late finds nothing.
      await expect(made.start()).rejects.toMatchObject({ statusCode: 404 });
      await adapter.wait(ref, never());
      const gone = { ...one, spec: { ...one.spec, image: "127.0.0.1:1/no/such:1" } };
      expect(await adapter.submit(gone, never())).toBe(ref);
      expect((await readLines(adapter, ref)).map((line) => line.text)).toEqual(["started"]);
      await adapter.cleanup(ref);
    });

    it("makes another when so much time passed before the start that somebody may take it for abandoned", async () => {
      let aheadMs = 0;
      const slow = createDockerRuntime({ homeId, allowedMounts: [], clock: () => Date.now() + aheadMs });
      const seen: (string | undefined)[] = [];
      const one = shell("sleep 1000");
      const confirm = async (): Promise<void> => {
        seen.push(await slow.find(one.externalName));
        if (seen.length === 1) aheadMs = 8_000;
      };
      const ref = await slow.submit({ ...one, confirm }, never());
      await slow.dispose();
      expect(seen).toEqual([expect.not.stringMatching(ref), ref]);
      await adapter.cleanup(ref);
    });

    it("takes the container over that another launch made in its place", async () => {
      const one = shell("cat /proc/sys/kernel/random/uuid");
      const other = createDockerRuntime({ homeId, allowedMounts: [] });
      let asked = 0;
      const confirm = async (): Promise<void> => {
        asked += 1;
        await adapter.cleanup((await adapter.find(one.externalName)) ?? "");
        theirs = await other.submit(one, never());
      };
      let theirs = "";
      expect(await adapter.submit({ ...one, confirm }, never())).toBe(theirs);
      expect(asked).toBe(1);
      await adapter.wait(theirs, never());
      expect(await readLines(adapter, theirs)).toHaveLength(1);
      await other.dispose();
      await adapter.cleanup(theirs);
    });

    it("leaves the start to the maker of the container, and does not start it again", async () => {
      const one = shell("cat /proc/sys/kernel/random/uuid");
      const other = createDockerRuntime({ homeId, allowedMounts: [] });
      const refs = await Promise.all([adapter.submit(one, never()), other.submit(one, never())]);
      await adapter.wait(refs[0] ?? "", never());
      expect(await other.submit(one, never())).toBe(refs[0]);
      expect(refs[1]).toBe(refs[0]);
      expect(await readLines(adapter, refs[0] ?? "")).toHaveLength(1);
      await other.dispose();
      await adapter.cleanup(refs[0] ?? "");
    });

    it.each([
      ["removes", new Error("cancelled"), false],
      ["keeps", SHUTDOWN, true],
    ])("%s what it was creating when it was aborted", async (_, reason, kept) => {
      const controller = new AbortController();
      const one = shell("sleep 1000");
      const submitted = adapter.submit(
        {
          ...one,
          report: ({ phase }) => {
            // The create is on its way by the time that this runs.
            if (phase === "creating") setImmediate(() => controller.abort(reason));
          },
        },
        controller.signal,
      );
      await expect(submitted).rejects.toBe(reason);
      const ref = await adapter.find(one.externalName);
      expect(ref !== undefined).toBe(kept);
      if (ref === undefined) return;
      const later = createDockerRuntime({ homeId, allowedMounts: [], clock: fastClock() });
      // What had been started is adopted, what had not is made anew.
      const adopted = await later.submit(one, never());
      await later.dispose();
      expect((await adapter.status(adopted)).phase).toBe("running");
      await adapter.cleanup(adopted);
    });
  });

  describe("networks", () => {
    it("lets two jobs of one home not reach each other", async () => {
      const isolated = { network: { mode: "isolated" as const } };
      const server = await adapter.submit(shell("echo up; nc -l -p 7000", isolated), never());
      await untilLine(adapter, server, "up");
      const { NetworkSettings } = await client.getContainer(server).inspect();
      const [network] = Object.values(NetworkSettings.Networks);
      const reach = `nc -w 2 ${network?.IPAddress} 7000 </dev/null && echo reached || echo none`;
      expect((await run(shell(reach, isolated))).out).toContain("none");
      expect((await run(shell("ip -o addr | grep -c 'inet ' ", isolated))).out).toEqual(["2"]);
      expect((await run(shell("ip -o addr | grep -c 'inet ' "))).out).toEqual(["1"]);
      await adapter.cleanup(server);
    });

    it("makes the home's network again when somebody removed it", async () => {
      const isolated = { network: { mode: "isolated" as const } };
      await run(shell("true", isolated));
      const networks = await client.listNetworks({ filters: { label: [`${LABELS.home}=${homeId}`] } });
      expect(networks).toHaveLength(1);
      await client.getNetwork(networks[0]?.Id ?? "").remove();
      expect((await run(shell("true", isolated))).status).toMatchObject({ exitCode: 0 });
    });
  });
});

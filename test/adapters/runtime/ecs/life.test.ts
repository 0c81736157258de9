import { DescribeTaskDefinitionCommand, DescribeTasksCommand } from "@aws-sdk/client-ecs";
import { GetParameterCommand, GetParametersByPathCommand } from "@aws-sdk/client-ssm";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LongshoreError, LongshoreError as LongshoreErrorClass } from "../../../../engine/errors.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import type { Launch, RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import {
  type Act,
  type LaunchOverrides,
  launchOf,
  readLines,
  texts,
  untilLine,
} from "../../../contracts/runtime-harness.ts";
import { injectFaults } from "../../../lab/aws-faults.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { ECS_FACTS, type EcsHarness, ecsHarness } from "./harness.ts";

const never = (): AbortSignal => new AbortController().signal;
const shell = (script: string, args: string[] = []): Act => ({ act: "shell", script, args });
const CANARY = "canary-4242-canary";

describeWith("aws", "ecs tasks on moto", () => {
  let harness: EcsHarness;
  let homeId: string;
  let made: RuntimeAdapter[] = [];

  beforeAll(async () => {
    harness = await ecsHarness("life");
  }, 60_000);
  afterEach(async () => {
    for (const one of made) {
      for await (const { ref } of one.list()) await one.cleanup(ref);
      await one.dispose();
    }
    made = [];
    expect(await harness.leftovers(homeId)).toEqual([]);
  }, 60_000);
  afterAll(async () => await harness.dispose());

  const make = (options: Parameters<EcsHarness["make"]>[1] = {}) => {
    homeId = mintHomeId(Date.now());
    const one = harness.make(homeId, options);
    made.push(one.adapter);
    return one;
  };
  const launch = (act: Act, overrides: LaunchOverrides = {}): Launch => launchOf(ECS_FACTS, act, overrides);
  const failureOf = async (submitted: Promise<string>): Promise<LongshoreError> => {
    const error = await submitted.then(
      (ref) => expect.fail(`started ${ref}`),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LongshoreErrorClass);
    return error as LongshoreError;
  };
  const startsOf = (calls: readonly { command: string; fault: unknown }[]) =>
    calls.filter(({ command }) => command === "RunTaskCommand").length;

  it("hands over environment and arguments exactly", async () => {
    const { adapter } = make();
    const env = {
      EMPTY: "",
      LINES: "one\ntwo\n\n",
      QUOTES: `'"\`$HOME \\ $(id) %s *`,
      UNICODE: "ünï ☃ 💾",
      API_TOKEN: " t ",
    };
    const args = ["a b", "", "$HOME", "*", "ü\n2"];
    const show = `for a in ${Object.keys(env)
      .map((name) => `"$${name}"`)
      .join(" ")} "$@"; do printf %s "x$a" | base64 | tr -d '\\n'; echo; done`;
    const ref = await adapter.submit(launch(shell(show, args), { env }), never());
    await adapter.wait(ref, never());
    const values = texts(await readLines(adapter, ref)).map((text) => Buffer.from(text, "base64").toString().slice(1));
    expect(values).toEqual([...Object.values(env), ...args]);
  });

  it("numbers lines without gaps, and gives them again from any number", async () => {
    const { adapter } = make();
    const ref = await adapter.submit(
      launch(shell("i=0; while [ $i -lt 200 ]; do echo o$i; i=$((i+1)); done")),
      never(),
    );
    await adapter.wait(ref, never());
    const lines = await readLines(adapter, ref);
    expect(texts(lines)).toEqual(Array.from({ length: 200 }, (_, index) => `o${index}`));
    expect(lines.map(({ n }) => n)).toEqual(lines.map((_, index) => index + 1));
    expect(await readLines(adapter, ref, { after: 190 })).toEqual(lines.slice(190));
    expect(await readLines(adapter, ref, { after: 190, follow: true })).toEqual(lines.slice(190));
    expect(await readLines(adapter, ref, { after: 1000 })).toEqual([]);
  });

  it("shares one definition between jobs of a shape, and finds it again from another process", async () => {
    const { adapter } = make();
    const other = harness.make(homeId).adapter;
    made.push(other);
    const act = shell("echo $NAME $1", ["x"]);
    const refs = [
      await adapter.submit(launch(act, { env: { NAME: "one" } }), never()),
      await adapter.submit(launch(act, { env: { NAME: "two" } }), never()),
      await other.submit(launch(act, { env: { NAME: "three" } }), never()),
      await other.submit(launch(act, { spec: { resources: { memoryMiB: 600 } } }), never()),
    ];
    const cluster = refs[0]!.replace(":task/", ":cluster/").replace(/\/[^/]+$/, "");
    const { tasks = [] } = await harness.ecs.send(new DescribeTasksCommand({ cluster, tasks: refs }));
    const used = refs.map((ref) => tasks.find(({ taskArn }) => taskArn === ref)?.taskDefinitionArn);
    expect(new Set(used.slice(0, 3)).size).toBe(1);
    expect(used[3]).not.toBe(used[0]);
    for (const ref of refs) await adapter.wait(ref, never());
    expect(texts(await readLines(adapter, refs[2]!))).toEqual(["three x"]);
  });

  it("hands a sensitive value over in a parameter of the attempt, shows it nowhere, and removes it", async () => {
    const { adapter } = make();
    const env = { DB_PASSWORD: CANARY, URL_OF_IT: `https://db/${CANARY}`, PLAIN: "plain" };
    const one = launch(
      shell('echo "$DB_PASSWORD" "$URL_OF_IT" "$PLAIN" | tr a-z A-Z; trap "exit 0" TERM; sleep 1000 & wait'),
      {
        spec: { env },
        env,
        secretValues: [CANARY],
      },
    );
    const ref = await adapter.submit(one, never());
    await untilLine(adapter, ref, `${CANARY} https://db/${CANARY} plain`.toUpperCase());
    const cluster = ref.replace(":task/", ":cluster/").replace(/\/[^/]+$/, "");
    const tasks = await harness.ecs.send(new DescribeTasksCommand({ cluster, tasks: [ref], include: ["TAGS"] }));
    const taskDefinition = tasks.tasks?.[0]?.taskDefinitionArn ?? "";
    const definition = await harness.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition, include: ["TAGS"] }));
    const path = { Path: `/longshore/attempts/${homeId}`, Recursive: true };
    const { Parameters = [] } = await harness.ssm.send(new GetParametersByPathCommand(path));
    expect(JSON.stringify([tasks, definition, Parameters.map(({ Name }) => Name)])).not.toContain(CANARY);
    expect(JSON.stringify([tasks, definition])).not.toContain(Buffer.from(CANARY).toString("base64"));
    expect(Parameters.map(({ Type }) => Type)).toEqual(["SecureString", "SecureString"]);
    expect(tasks.tasks?.[0]?.overrides?.containerOverrides?.[0]?.environment).toEqual([
      { name: "PLAIN", value: "plain" },
    ]);

    await adapter.cancel(ref, 10);
    await Promise.all(Array.from({ length: 5 }, () => adapter.cleanup(ref)));
    expect(await harness.leftovers(homeId)).toEqual([]);
    await expect(harness.ssm.send(new GetParameterCommand({ Name: Parameters[0]?.Name }))).rejects.toThrow("not found");
  });

  it("takes more than an override may hold into a definition of the attempt", async () => {
    const { adapter } = make();
    const long = "x".repeat(9000);
    const ref = await adapter.submit(
      launch(shell('printf %s "$LONG" | wc -c; printf %s "$1" | wc -c', ["y".repeat(7)]), { env: { LONG: long } }),
      never(),
    );
    await adapter.wait(ref, never());
    expect(texts(await readLines(adapter, ref))).toEqual(["9000", "7"]);
    expect((await harness.leftovers(homeId)).filter((one) => one.startsWith("definition"))).toHaveLength(1);
  });

  it("refuses a command with a secret value in it, before anything is asked for", async () => {
    const { adapter, client } = make();
    const faults = injectFaults(client);
    const one = launch(shell("echo", [`--key=${CANARY}`]), { secretValues: [CANARY] });
    const error = await failureOf(adapter.submit(one, never()));
    expect(error.code).toBe("VALIDATION");
    expect(error.message).toContain("args.0");
    expect(error.message).not.toContain(CANARY);
    expect(startsOf(faults.calls())).toBe(0);
  });

  describe("with calls that fail", () => {
    it.each(["after", "slow", "before", "error", "throttled"] as const)(
      "starts once when RunTask fails by %s, twice and more",
      async (fault) => {
        const { adapter, client } = make();
        const faults = injectFaults(client);
        const one = launch(shell("cat /proc/sys/kernel/random/uuid"));
        // More often than the SDK tries by itself.
        faults.strike({ fault, command: "RunTaskCommand", times: 6 });
        const ref = await adapter.submit(one, never());
        expect(startsOf(faults.calls())).toBe(7);
        expect(await adapter.wait(ref, never())).toMatchObject({ phase: "exited", exitCode: 0 });
        expect(texts(await readLines(adapter, ref))).toHaveLength(1);
        expect(await Array.fromAsync(adapter.list())).toHaveLength(1);
      },
      30_000,
    );

    it("finds what was started, by the name, when no answer ever came", async () => {
      const { adapter, client } = make({ consistencyMs: 60_000 });
      const faults = injectFaults(client);
      faults.strike({ fault: "after", command: "RunTaskCommand", times: 1000 });
      const one = launch(shell("trap 'exit 0' TERM\necho ready\nsleep 1000 & wait"), { env: { MY_TOKEN: CANARY } });
      const error = await failureOf(adapter.submit(one, never()));
      expect(error.code).toBe("RUNTIME_UNAVAILABLE");
      faults.remove();
      expect((await harness.leftovers(homeId)).some((one) => one.startsWith("parameter"))).toBe(true);
      const ref = await adapter.find(one.externalName);
      expect(ref).toMatch(/^arn:/);
      await untilLine(adapter, ref!, "ready");
      expect(await adapter.submit(one, never())).toBe(ref);
    }, 30_000);

    it("never asks again when the token's life is over: what runs is adopted, and else the attempt fails", async () => {
      const { adapter, client } = make();
      const faults = injectFaults(client);
      const dispatchedAt = new Date(Date.now() - 56 * 60_000).toISOString();
      const lost = launch(shell("echo never"), { dispatchedAt });
      const error = await failureOf(adapter.submit(lost, never()));
      expect(error).toMatchObject({ code: "UNKNOWN", providerCode: "CLIENT_TOKEN_EXPIRED" });
      expect(startsOf(faults.calls())).toBe(0);

      for (const script of ["sleep 1000", "exit 5"]) {
        const one = launch(shell(script));
        const ref = await adapter.submit(one, never());
        if (script !== "sleep 1000") await adapter.wait(ref, never());
        const later = harness.make(homeId).adapter;
        made.push(later);
        expect(await later.submit({ ...one, dispatchedAt }, never())).toBe(ref);
      }
    });

    it("adopts what the token stands for when the request has changed since", async () => {
      const { adapter } = make();
      const one = launch(shell("exit 3"), { env: { SHOWN: "1" } });
      const ref = await adapter.submit(one, never());
      await adapter.wait(ref, never());
      const later = harness.make(homeId).adapter;
      made.push(later);
      expect(await later.submit({ ...one, env: { SHOWN: "2" } }, never())).toBe(ref);
    });

    it("takes the failures of a RunTask that was answered well for failures", async () => {
      const { adapter, client } = make();
      const reason = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
      client.middlewareStack.add(
        (next, context) => async (args) =>
          (context as { commandName?: string }).commandName === "RunTaskCommand"
            ? { response: {}, output: { $metadata: {}, tasks: [], failures: [{ reason }] } }
            : await next(args),
        { step: "initialize", name: "outOfCapacity" },
      );
      const one = launch(shell("echo never"), { env: { MY_TOKEN: CANARY } });
      const error = await failureOf(adapter.submit(one, never()));
      expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", providerCode: "CapacityUnavailable" });
      expect(await harness.leftovers(homeId)).toEqual([]);
      expect(await adapter.find(one.externalName)).toBeUndefined();
    });
  });

  describe("with tasks that end otherwise", () => {
    it("tells why a task was never started, and leaves nothing of it", async () => {
      const { adapter } = make();
      const one = launch(shell("echo never"), { env: { MY_TOKEN: CANARY } });
      const reason = `CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/${CANARY}:1: not found`;
      harness.agent.decide(one.externalName, { fate: "refuse", reason });
      const error = await failureOf(adapter.submit({ ...one, secretValues: [CANARY] }, never()));
      expect(error).toMatchObject({ code: "NOT_FOUND", providerCode: "CannotPullContainerError" });
      expect(error.message).not.toContain(CANARY);
      expect(await harness.leftovers(homeId)).toEqual([]);
    });

    it("starts another task for an attempt whose task got no capacity, and only when it is told to replace that one", async () => {
      const { adapter } = make();
      const one = launch(shell("exit 6"), { env: { MY_TOKEN: CANARY } });
      const reason = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
      harness.agent.decide(one.externalName, { fate: "refuse", reason }, 1);
      const error = await failureOf(adapter.submit(one, never()));
      const unstarted = error.unstarted ?? "";
      expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", providerCode: "CapacityUnavailable" });
      expect(unstarted).toMatch(/^arn:/);
      const another = () => {
        const { adapter } = harness.make(homeId);
        made.push(adapter);
        return adapter;
      };
      // Asked again for the same, ECS answers with the same; and nothing is there that could be adopted.
      expect((await failureOf(another().submit(one, never()))).unstarted).toBe(unstarted);
      expect(await another().find(one.externalName)).toBeUndefined();
      expect(await harness.leftovers(homeId)).toEqual([]);

      const again = { ...one, replaces: unstarted };
      const [ref, ...same] = await Promise.all([adapter, another(), another()].map((by) => by.submit(again, never())));
      expect(same).toEqual([ref, ref]);
      expect(ref).not.toBe(unstarted);
      expect(await adapter.wait(ref!, never())).toMatchObject({ exitCode: 6 });
      expect(await another().find(one.externalName)).toBe(ref);
      const dispatchedAt = new Date(Date.now() - 56 * 60_000).toISOString();
      expect(await another().submit({ ...again, dispatchedAt }, never())).toBe(ref);
      // A launch that was overtaken starts nothing, and takes nothing away.
      expect((await failureOf(another().submit(one, never()))).unstarted).toBe(unstarted);
      expect(await another().submit(again, never())).toBe(ref);
    });

    it("knows a task that ran out of memory, and one whose spot capacity was taken away", async () => {
      const { adapter } = make();
      const oom = launch(shell(""));
      const spot = launch(shell(""), { spec: { placement: { spot: true } } });
      for (const { externalName } of [oom, spot]) harness.agent.decide(externalName, { fate: "run" });
      const oomRef = await adapter.submit(oom, never());
      const spotRef = await adapter.submit(spot, never());
      await harness.agent.write(oomRef, ["last words"]);
      const containerReason = "OutOfMemoryError: Container killed due to memory usage";
      await harness.agent.tell(oomRef, "STOPPED", { exitCode: 137, containerReason });
      await harness.agent.tell(spotRef, "RUNNING", { reason: "Your Spot Task was interrupted." });
      expect(await adapter.status(spotRef)).toMatchObject({ phase: "running", failure: null });
      await harness.agent.tell(spotRef, "STOPPED", { exitCode: 143 });
      expect(await adapter.wait(oomRef, never())).toMatchObject({
        exitCode: 137,
        oom: true,
        failure: { category: "OOM" },
      });
      expect(texts(await readLines(adapter, oomRef))).toEqual(["last words"]);
      expect(await adapter.wait(spotRef, never())).toMatchObject({
        exitCode: 143,
        failure: { category: "RUNTIME_UNAVAILABLE", providerCode: "SpotInterruption" },
      });
    });

    it("takes nothing away from the launch that has overtaken it", async () => {
      const { adapter } = make();
      const late = harness.make(homeId).adapter;
      made.push(late);
      const one = launch(shell(""), { env: { MY_TOKEN: CANARY } });
      harness.agent.decide(one.externalName, { fate: "run" });
      const overtaken = new Error("overtaken");
      let ref = "";
      const confirm = async () => {
        ref = await adapter.submit(one, never());
        throw overtaken;
      };
      await expect(late.submit({ ...one, confirm }, never())).rejects.toBe(overtaken);
      const kinds = (await harness.leftovers(homeId)).map((left) => left.split(" ")[0]);
      expect(kinds.toSorted()).toEqual(["definition", "log", "parameter", "task"]);
      await harness.agent.tell(ref, "STOPPED", { exitCode: 0 });
    });

    it("does not wait for the end of what it stops where it need not", async () => {
      const { adapter } = make({ awaitsStops: false });
      const one = launch(shell(""));
      harness.agent.decide(one.externalName, { fate: "run", deaf: true });
      const ref = await adapter.submit(one, never());
      expect(await adapter.cancel(ref, 10)).toBe(true);
      expect(await adapter.status(ref)).toMatchObject({ phase: "running", failure: null });
      await harness.agent.tell(ref, "STOPPED", { exitCode: 143 });
      expect(await adapter.wait(ref, never())).toMatchObject({ exitCode: 143, failure: null });
      expect(await adapter.cancel(ref, 10)).toBe(false);
    });

    it("aborts a launch that hangs; what is left is found by its name, and stopped", async () => {
      const { adapter } = make();
      const one = launch(shell("echo never"));
      harness.agent.decide(one.externalName, { fate: "hang" });
      const controller = new AbortController();
      const reason = new Error("changed my mind");
      let asked = () => undefined as unknown;
      const creating = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const submitted = adapter.submit(
        { ...one, report: ({ phase }) => void (phase === "creating" && asked()) },
        controller.signal,
      );
      await creating;
      let ref = await adapter.find(one.externalName);
      while (ref === undefined) ref = await adapter.find(one.externalName);
      controller.abort(reason);
      await expect(submitted).rejects.toBe(reason);
      expect((await adapter.status(ref)).phase).toBe("created");
      expect(await adapter.cancel(ref, 0)).toBe(true);
      expect(await adapter.status(ref)).toMatchObject({ phase: "exited", startedAt: null, failure: null });
      await adapter.cleanup(ref);
      expect(await adapter.find(one.externalName)).toBeUndefined();
    });
  });

  describe("in bulk", () => {
    it("describes a hundred tasks a call, however many wait for them", async () => {
      const { adapter, client } = make({ pollMs: 300 });
      const launches = Array.from({ length: 105 }, () => launch(shell("")));
      for (const { externalName } of launches) harness.agent.decide(externalName, { fate: "run" });
      const refs = await Promise.all(launches.map((one) => adapter.submit(one, never())));
      const faults = injectFaults(client);
      const described = () => faults.calls().filter(({ command }) => command === "DescribeTasksCommand").length;
      const statuses = await adapter.statusMany!([...refs, "none"]);
      expect(statuses.size).toBe(106);
      expect(new Set(refs.map((ref) => statuses.get(ref)?.phase))).toEqual(new Set(["running"]));
      expect(statuses.get("none")?.phase).toBe("unknown");
      expect(described()).toBe(2);
      faults.strike({ fault: "before", command: "none" });
      expect(await Array.fromAsync(adapter.list())).toHaveLength(105);
      // Two pages of tasks, and one of logs, in which there is nothing that was not seen.
      expect(described()).toBe(2);
      await Promise.all(refs.map((ref) => harness.agent.tell(ref, "STOPPED", { exitCode: 0 })));
    }, 60_000);

    it("lists what is left of an attempt without a task, and cleans it up by its name", async () => {
      const { adapter, client } = make();
      const faults = injectFaults(client);
      const one = launch(shell("echo never"), { env: { MY_TOKEN: CANARY }, attempt: 2 });
      faults.strike({ fault: "before", command: "RunTaskCommand", times: 1000 });
      await failureOf(adapter.submit(one, never()));
      faults.remove();
      // As if the process had died before it could remove it.
      const before = harness.make(homeId, { consistencyMs: 60_000 });
      made.push(before.adapter);
      injectFaults(before.client).strike({ fault: "before", command: "RunTaskCommand", times: 1000 });
      await failureOf(before.adapter.submit(one, never()));
      const { externalName, jobId } = one;
      const [left, ...others] = await Array.fromAsync(adapter.list());
      expect(others).toEqual([]);
      expect(left).toMatchObject({
        ref: externalName,
        externalName,
        jobId,
        attempt: 2,
        status: { phase: "created" },
        kept: false,
      });
      expect(await adapter.find(externalName)).toBe(externalName);
      expect((await adapter.status(externalName)).phase).toBe("created");
      const stranger = harness.make(mintHomeId(Date.now() + 5)).adapter;
      await stranger.cleanup(externalName);
      expect(await stranger.find(externalName)).toBeUndefined();
      await stranger.dispose();
      expect(await harness.leftovers(homeId)).toHaveLength(2);
      await adapter.cleanup(externalName);
      expect(await adapter.find(externalName)).toBeUndefined();
    }, 30_000);

    it("does not take for an orphan what another process has cleaned up", async () => {
      const { adapter } = make();
      const one = launch(shell("echo done"));
      const ref = await adapter.submit(one, never());
      await adapter.wait(ref, never());
      const other = harness.make(homeId).adapter;
      made.push(other);
      expect((await Array.fromAsync(other.list())).map((owned) => owned.ref)).toEqual([ref]);
      await adapter.cleanup(ref);
      expect(await Array.fromAsync(other.list())).toEqual([]);
    });
  });

  it("is not well without its cluster", async () => {
    const { adapter } = make({ clusterArn: "arn:aws:ecs:us-east-1:123456789012:cluster/none" });
    expect(await adapter.health()).toEqual({ ok: false, message: "the ECS cluster none is MISSING" });
    made = [];
    await adapter.dispose();
  });
});

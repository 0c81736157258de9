import { expect, test } from "vitest";
import { createStubRuntime } from "../../../../adapters/runtime/stub/index.ts";
import { LongshoreError } from "../../../../engine/errors.ts";
import type { RuntimeStatus } from "../../../../engine/ports/runtime.ts";
import { launchOf, readLines, texts } from "../../../contracts/runtime-harness.ts";
import { STUB_FACTS } from "./facts.ts";

const print = { act: "print", lines: [], exitCode: 0 } as const;
const never = (): AbortSignal => new AbortController().signal;
const make = (): ReturnType<typeof createStubRuntime> => createStubRuntime({ homeId: "home", clock: () => 0 });

async function statusOf(env: Record<string, string>, attempt = 1, timeoutSeconds = 3600): Promise<RuntimeStatus> {
  const stub = make();
  const ref = await stub.submit(launchOf(STUB_FACTS, print, { env, attempt, spec: { timeoutSeconds } }), never());
  return await stub.wait(ref, never());
}

test("ends at once and well when its script is empty", async () => {
  const status = await statusOf({});
  const epoch = "1970-01-01T00:00:00.000Z";
  expect(status).toEqual({
    phase: "exited",
    exitCode: 0,
    oom: false,
    failure: null,
    startedAt: epoch,
    finishedAt: epoch,
  });
});

test("is ended by the runtime when the script says so", async () => {
  expect(await statusOf({ STUB_END_WITH: "OOM" })).toMatchObject({
    exitCode: 137,
    oom: true,
    failure: { category: "OOM" },
  });
});

test("fails to start with the category of the script, in the attempts that it names, and leaves nothing", async () => {
  const stub = make();
  const env = { STUB_FAIL: "IMAGE_PULL", STUB_FAIL_ATTEMPTS: "2" };
  for (const attempt of [1, 2]) {
    const launch = launchOf(STUB_FACTS, print, { env, attempt });
    const error = await stub.submit(launch, never()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LongshoreError);
    expect((error as LongshoreError).code).toBe("IMAGE_PULL");
    expect(await stub.find(launch.externalName)).toBeUndefined();
  }
  expect((await statusOf(env, 3)).exitCode).toBe(0);
});

test("times out when it lasts longer than the spec allows", async () => {
  const status = await statusOf({ STUB_DURATION_MS: "forever" }, 1, 1);
  expect(status).toMatchObject({ phase: "exited", exitCode: 137, failure: { category: "TIMEOUT" } });
});

test("writes the lines of its script, masked", async () => {
  const stub = make();
  const env = { STUB_STDOUT: "the hunter2hunter2 value", STUB_STDERR: "err", STUB_LINES: "2" };
  const ref = await stub.submit(launchOf(STUB_FACTS, print, { env, secretValues: ["hunter2hunter2"] }), never());
  const lines = await readLines(stub, ref);
  expect(texts(lines, "stdout")).toEqual(["the ***REDACTED*** value", "line 1", "line 2"]);
  expect(texts(lines, "stderr")).toEqual(["err"]);
});

test.each([
  ["STUB_DURATION_MS", "-1"],
  ["STUB_DURATION_MS", "9999999999"],
  ["STUB_EXIT_CODE", "256"],
  ["STUB_EXIT_CODE", "one"],
  ["STUB_LINES", "1e3"],
  ["STUB_ON_TERM", "laugh"],
  ["STUB_FAIL", "image_pull"],
  ["STUB_END_WITH", ""],
  ["STUB_FAIL_ATTEMPTS", "1.5"],
])("names the variable whose value it cannot follow: %s=%s", (name, value) => {
  const { spec } = launchOf(STUB_FACTS, print, { spec: { env: { [name]: value, OTHER: "x" } } });
  const violations = make().check?.(spec);
  expect(violations?.map((one) => one.path)).toEqual([`env.${name}`]);
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LongshoreError, type Violation } from "../../../engine/errors.ts";
import { parseJobSpec } from "../../../engine/spec/parse.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";

const IMAGE = "alpine:3.20";

function failure(input: unknown): LongshoreError & { violations: Violation[] } {
  try {
    parseJobSpec(input);
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "VALIDATION" && error.violations !== undefined) {
      return error as LongshoreError & { violations: Violation[] };
    }
    throw error;
  }
  throw new Error("this spec was accepted");
}

const faults = (input: unknown) => failure(input).violations.map(({ path, code }) => `${path} ${code}`);
const withImage = (rest: object) => ({ image: IMAGE, ...rest });
const variables = (count: number, value = "x") =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`V${i}`, value]));

/** 32 labels with so many bytes of keys and values. */
function labelsOf(bytes: number): Record<string, string> {
  const entries = Array.from({ length: 32 }, (_, i) => [`L${String(i).padStart(2, "0")}`, "x".repeat(29)] as const);
  const labels = Object.fromEntries(entries);
  const rest = bytes - 32 * 32;
  return rest <= 0 ? labels : { ...labels, L31: "x".repeat(29 + rest) };
}

describe("a spec that says nothing but its image", () => {
  test("gets every default, deep inside too, and its name", () => {
    expect(parseJobSpec({ image: "host.example:5000/team/My_app:1".toLowerCase() })).toEqual({
      name: "my-app",
      image: "host.example:5000/team/my_app:1",
      args: [],
      env: {},
      secrets: {},
      sensitive: [],
      resources: {},
      timeoutSeconds: 3600,
      retry: {
        maxAttempts: 1,
        delaySeconds: 5,
        backoff: 2,
        maxDelaySeconds: 300,
        on: ["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"],
      },
      logs: { maxBytes: 10_485_760 },
      volumes: [],
      network: { mode: "isolated" },
      security: { readOnlyRoot: false, addCapabilities: [] },
      labels: {},
      lane: "default",
      priority: 0,
      stopGraceSeconds: 10,
      cleanup: "always",
      sidecars: [],
      initContainers: [],
    });
  });

  test("gives two jobs nothing to share", () => {
    const first = parseJobSpec({ image: IMAGE });
    first.env.A = "1";
    first.retry.on.pop();
    first.args.push("x");
    const second = parseJobSpec({ image: IMAGE });
    expect([second.env, second.retry.on.length, second.args]).toEqual([{}, 4, []]);
  });
});

test("every key of the contract is taken", () => {
  const full = {
    name: "nightly",
    image: IMAGE,
    command: ["sh", "-c"],
    args: ["echo hi"],
    env: { LOG_LEVEL: "debug" },
    secrets: { API_TOKEN: { from: "env:API_TOKEN" }, F: { from: "file:/run/a" }, V: { from: "vault:kv/a#b" } },
    sensitive: ["MY_ODD_NAME"],
    runtime: "docker",
    resources: { cpu: 0.5, memoryMiB: 256, diskMiB: 1024, gpu: { count: 1, type: "a100" } },
    timeoutSeconds: 2_000_000,
    retry: { maxAttempts: 3, delaySeconds: 0.5, backoff: 1, maxDelaySeconds: 0, on: [] },
    artifacts: { paths: ["/out/**/*.csv", "rel/*"], maxBytes: 1, gzip: true },
    logs: { maxBytes: 1 },
    volumes: [{ source: "/data", target: "/data", readOnly: true }],
    workdir: "/work",
    user: "1000:1000",
    network: { mode: "none" },
    security: { readOnlyRoot: true, addCapabilities: ["NET_ADMIN"] },
    labels: { team: "data", "example.com/team": "" },
    lane: "bulk",
    priority: -100,
    concurrencyKey: "db main/1",
    stopGraceSeconds: 0,
    cleanup: "onSuccess",
    registryAuth: { from: "env:REGISTRY_AUTH" },
    sidecars: [{ name: "proxy", image: IMAGE, command: ["a"], args: ["b"], env: { A: "1" } }],
    initContainers: [{ name: "fetch", image: IMAGE, args: [], env: {} }],
    healthCheck: { command: ["true"], intervalSeconds: 10, retries: 3 },
    placement: { spot: false, arch: "amd64", region: "eu-west-1", zone: "eu-west-1a" },
    budget: { maxCostUsd: 5, tag: "team-a" },
  } satisfies JobSpecInput;
  expect(parseJobSpec(full)).toEqual(full);
});

describe("the name", () => {
  test("is `job` where no image can lend one", () => {
    expect(parseJobSpec({ runtime: "process", command: ["true"] }).name).toBe("job");
    expect(parseJobSpec({ runtime: "stub" }).name).toBe("job");
  });

  test("is not taken from an image that spells a password", () => {
    expect(parseJobSpec({ image: "postgres:16", env: { POSTGRES_PASSWORD: "postgres" } }).name).toBe("job");
    expect(parseJobSpec({ image: "postgres:16", env: { POSTGRES_PASSWORD: "other-one" } }).name).toBe("postgres");
  });
});

describe("what is no spec", () => {
  test.each([[null], [undefined], [[]], ["alpine"], [7], [true], [new Map()], [() => IMAGE]])(
    "%s is refused as a whole",
    (input) => {
      expect(failure(input).violations[0]).toMatchObject({ path: "spec", code: "invalid_type" });
    },
  );

  test("an image is required, unless the runtime is process, which needs a command", () => {
    expect(faults({})).toEqual(["image required"]);
    expect(faults({ runtime: "docker" })).toEqual(["image required"]);
    expect(faults({ runtime: "process" })).toEqual(["command required"]);
  });

  test("each unknown key is named where it stands", () => {
    const error = failure(
      withImage({ foo: 1, retry: { attempts: 2 }, volumes: [{ source: "/a", target: "/b", ro: true }] }),
    );
    expect(error.violations).toEqual([
      { path: "retry.attempts", code: "unknown_key", message: 'unknown key "attempts"' },
      { path: "volumes.0.ro", code: "unknown_key", message: 'unknown key "ro"' },
      { path: "foo", code: "unknown_key", message: 'unknown key "foo"' },
    ]);
    expect(error.message).toBe(
      'the job spec is invalid: retry.attempts: unknown key "attempts"; volumes.0.ro: unknown key "ro"; foo: unknown key "foo"',
    );
  });

  test("keys that JavaScript treats in its own way are ordinary or refused, never obeyed", () => {
    const input = JSON.parse(
      '{"image":"a","__proto__":{"runtime":"process"},"env":{"__proto__":"x","constructor":"y"}}',
    );
    expect(faults(input)).toEqual(["__proto__ unknown_key", "env.__proto__ unknown_key"]);
    const spec = parseJobSpec(JSON.parse('{"image":"a","env":{"constructor":"y","toString":"z"}}'));
    expect(Object.entries(spec.env)).toEqual([
      ["constructor", "y"],
      ["toString", "z"],
    ]);
    expect(faults({ image: "a", constructor: 1, hasOwnProperty: 2 })).toEqual([
      "constructor unknown_key",
      "hasOwnProperty unknown_key",
    ]);
    expect(parseJobSpec({ image: "a", secrets: { toString: { from: "env:A" } } }).secrets).toHaveProperty("toString");
  });

  test("what is endless ends", () => {
    const cycle: Record<string, unknown> = { image: IMAGE };
    cycle.env = { A: cycle };
    expect(faults(cycle)).toEqual(["env too_big"]);
    const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`);
    expect(faults(deep)).toEqual(["a too_big"]);
    const wide: unknown[] = [];
    wide.push(wide, wide);
    expect(faults({ args: wide })).toEqual(["args too_big"]);
  });

  test("a hundred violations are listed and the others counted", () => {
    const error = failure(withImage(Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`k${i}`, 1]))));
    expect(error.violations).toHaveLength(100);
    expect(error.message).toMatch(/; and 247 more$/);
  });
});

describe("text", () => {
  test("with a NUL is refused wherever it stands, with the field's path", () => {
    const nul = "a\0b";
    expect(faults(withImage({ args: ["ok", nul] }))).toEqual(["args.1 nul"]);
    expect(faults(withImage({ env: { A: nul } }))).toEqual(["env.A nul"]);
    expect(faults(withImage({ env: { [nul]: "x" } }))).toEqual(["env.a… nul"]);
    expect(faults(withImage({ labels: { [nul]: "x" } }))).toEqual(["labels.a… nul"]);
    expect(faults({ image: nul })).toEqual(["image nul"]);
    expect(faults(withImage({ healthCheck: { command: [nul] } }))).toEqual(["healthCheck.command.0 nul"]);
  });

  test("that is no Unicode is refused: no two stores would keep it alike", () => {
    expect(faults(withImage({ args: ["\ud800"] }))).toEqual(["args.0 invalid_text"]);
  });
});

describe("the environment", () => {
  test("has at most 1,000 variables", () => {
    const error = failure(withImage({ env: variables(10_000) }));
    expect(error.violations).toEqual([
      { path: "env", code: "too_many_variables", message: "at most 1000 variables, the spec has 10000" },
    ]);
    expect(error.message).toContain("env: at most 1000 variables, the spec has 10000");
    expect(faults(withImage({ env: variables(1001) }))).toEqual(["env too_many_variables"]);
    expect(Object.keys(parseJobSpec(withImage({ env: variables(1000) })).env)).toHaveLength(1000);
  });

  test("has at most 128 KiB, as the kernel counts them", () => {
    const room = 128 * 1024 - "A".length - 2;
    expect(parseJobSpec(withImage({ env: { A: "x".repeat(room) } })).env.A).toHaveLength(room);
    expect(faults(withImage({ env: { A: "x".repeat(room + 1) } }))).toEqual(["env too_many_bytes"]);
    expect(faults(withImage({ env: { A: "é".repeat(room / 2 + 1) } }))).toEqual(["env too_many_bytes"]);
  });

  test("has names that a program can read", () => {
    expect(faults(withImage({ env: { "": "x" } }))).toEqual(["env. too_small"]);
    expect(faults(withImage({ env: { ["N".repeat(257)]: "x" } }))).toEqual([`env.${"N".repeat(64)}… too_big`]);
    expect(parseJobSpec(withImage({ env: { ["N".repeat(256)]: "x", "odd name.1": "" } })).env).toHaveProperty([
      "odd name.1",
    ]);
  });

  test("and the secrets share no name", () => {
    expect(faults(withImage({ env: { A: "1" }, secrets: { A: { from: "env:A" } } }))).toEqual(["secrets.A duplicate"]);
  });

  test("of another container has the same bounds", () => {
    const sidecars = [{ name: "a", image: IMAGE, env: variables(1001) }];
    expect(faults(withImage({ sidecars }))).toEqual(["sidecars.0.env too_many_variables"]);
  });
});

test("a spec has at most 256 KiB, its defaults counted", () => {
  const args = (bytes: number) => Array.from({ length: 4 }, () => "x".repeat(bytes / 4));
  const empty = Buffer.byteLength(JSON.stringify(parseJobSpec(withImage({ args: args(0) }))));
  const room = 256 * 1024 - empty;
  const fits = parseJobSpec(
    withImage({ args: [...args(room - (room % 4)).slice(1), "x".repeat(room / 4 + (room % 4) - 1)] }),
  );
  expect(parseJobSpec(fits)).toEqual(fits);
  expect(faults(withImage({ args: args(room + 8 - (room % 4)) }))).toEqual(["spec too_big"]);
});

describe("a message never repeats a value", () => {
  const secret = "hunter2-hunter2";
  test.each([
    [{ image: secret.toUpperCase() }],
    [withImage({ env: { [`PASSWORD=${secret}`]: "x" } })],
    [withImage({ env: { A: [secret] } })],
    [withImage({ env: secret })],
    [withImage({ secrets: { A: { from: secret } } })],
    [withImage({ secrets: { A: secret } })],
    [withImage({ registryAuth: { from: `user:${secret}` } })],
    [withImage({ network: { mode: secret } })],
    [withImage({ retry: { on: [secret] } })],
    [withImage({ user: `a:b:${secret}` })],
    [withImage({ workdir: secret })],
    [withImage({ labels: { a: `${secret}!` } })],
    [withImage({ timeoutSeconds: secret })],
    [withImage({ name: `${secret}_` })],
    [withImage({ args: [`${secret}\0`] })],
    [withImage({ [`pw=${secret}`]: 1 })],
  ])("%#", (input) => {
    const { message, violations } = failure(input);
    expect(JSON.stringify([message, violations]).toLowerCase()).not.toContain(secret);
  });
});

describe("a field out of its bounds", () => {
  const container = { name: "a", image: IMAGE };
  test.each<[object, string]>([
    [{ name: "" }, "name too_small"],
    [{ name: "-a" }, "name invalid_name"],
    [{ name: "a-" }, "name invalid_name"],
    [{ name: "A" }, "name invalid_name"],
    [{ name: "a.b" }, "name invalid_name"],
    [{ name: "../a" }, "name invalid_name"],
    [{ name: "a\n" }, "name invalid_name"],
    [{ name: "a".repeat(64) }, "name too_big"],
    [{ name: 1 }, "name invalid_type"],
    [{ image: "Alpine" }, "image malformed_image"],
    [{ command: [] }, "command too_small"],
    [{ command: [""] }, "command too_small"],
    [{ command: "sh" }, "command invalid_type"],
    [{ args: [1] }, "args.0 invalid_type"],
    [{ args: ["x".repeat(131_072)] }, "args.0 too_big"],
    [{ args: Array.from({ length: 4097 }, () => "") }, "args too_big"],
    [{ env: { "A=B": "x" } }, "env.A… invalid_env_name"],
    [{ env: { A: null } }, "env.A invalid_type"],
    [{ env: [] }, "env invalid_type"],
    [{ secrets: { A: {} } }, "secrets.A.from required"],
    [{ secrets: { A: { from: "A" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "env:" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "env:A=B" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "http:x" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "ENV:A" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "file:a" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "file:/a/../b" } } }, "secrets.A.from invalid_secret_source"],
    [{ secrets: { A: { from: "env:A", extra: 1 } } }, "secrets.A.extra unknown_key"],
    [{ secrets: { "": { from: "env:A" } } }, "secrets. too_small"],
    [{ sensitive: [""] }, "sensitive.0 too_small"],
    [{ runtime: "Docker" }, "runtime invalid_name"],
    [{ resources: { cpu: 0 } }, "resources.cpu too_small"],
    [{ resources: { cpu: -1 } }, "resources.cpu too_small"],
    [{ resources: { cpu: Number.NaN } }, "resources.cpu invalid_type"],
    [{ resources: { cpu: Number.POSITIVE_INFINITY } }, "resources.cpu invalid_type"],
    [{ resources: { memoryMiB: 5 } }, "resources.memoryMiB too_small"],
    [{ resources: { memoryMiB: 64.5 } }, "resources.memoryMiB invalid_type"],
    [{ resources: { memoryMiB: "64" } }, "resources.memoryMiB invalid_type"],
    [{ resources: { gpu: { count: 0 } } }, "resources.gpu.count too_small"],
    [{ timeoutSeconds: 0 }, "timeoutSeconds too_small"],
    [{ timeoutSeconds: 1.5 }, "timeoutSeconds invalid_type"],
    [{ timeoutSeconds: 2_000_001 }, "timeoutSeconds too_big"],
    [{ timeoutSeconds: 1e300 }, "timeoutSeconds too_big"],
    [{ timeoutSeconds: null }, "timeoutSeconds invalid_type"],
    [{ retry: { maxAttempts: 0 } }, "retry.maxAttempts too_small"],
    [{ retry: { maxAttempts: 101 } }, "retry.maxAttempts too_big"],
    [{ retry: { delaySeconds: -1 } }, "retry.delaySeconds too_small"],
    [{ retry: { backoff: 0.5 } }, "retry.backoff too_small"],
    [{ retry: { on: ["EVERYTHING"] } }, "retry.on.0 invalid_value"],
    [{ retry: { on: ["OOM", "OOM"] } }, "retry.on duplicate"],
    [{ artifacts: {} }, "artifacts.paths required"],
    [{ artifacts: { paths: [] } }, "artifacts.paths too_small"],
    [{ artifacts: { paths: ["/a/../b"] } }, "artifacts.paths.0 path_traversal"],
    [{ logs: { maxBytes: 0 } }, "logs.maxBytes too_small"],
    [{ volumes: [{ source: "/a/../b", target: "/a" }] }, "volumes.0.source path_traversal"],
    [{ volumes: [{ source: "/..", target: "/a" }] }, "volumes.0.source path_traversal"],
    [{ volumes: [{ source: "/a\\..\\b", target: "/a" }] }, "volumes.0.source path_traversal"],
    [{ volumes: [{ source: "a", target: "/a" }] }, "volumes.0.source not_absolute"],
    [{ volumes: [{ source: "/a:/etc", target: "/a" }] }, "volumes.0.source invalid_path"],
    [{ volumes: [{ source: "/a", target: "/a/.." }] }, "volumes.0.target path_traversal"],
    [{ volumes: [{ source: "/a", target: "//." }] }, "volumes.0.target mount_over_root"],
    [{ volumes: ["/d/", "/d/.", "/e"].map((target) => ({ source: "/a", target })) }, "volumes duplicate"],
    [{ workdir: "work" }, "workdir not_absolute"],
    [{ workdir: "/work/../etc" }, "workdir path_traversal"],
    [{ workdir: `/${"w".repeat(1024)}` }, "workdir too_big"],
    [{ user: "" }, "user invalid_user"],
    [{ user: "1:2:3" }, "user invalid_user"],
    [{ user: "2147483648" }, "user invalid_user"],
    [{ user: "a b" }, "user invalid_user"],
    [{ user: "-1" }, "user invalid_user"],
    [{ network: { mode: "host" } }, "network.mode invalid_value"],
    [{ security: { privileged: true } }, "security.privileged unknown_key"],
    [{ security: { addCapabilities: ["net admin"] } }, "security.addCapabilities.0 invalid_format"],
    [{ labels: { "": "x" } }, "labels. invalid_label"],
    [{ labels: { "a/b/c": "x" } }, "labels.a/b/c invalid_label"],
    [{ labels: { a: "-x" } }, "labels.a invalid_label"],
    [{ labels: { a: "x".repeat(64) } }, "labels.a too_big"],
    [{ labels: variables(33) }, "labels too_many_labels"],
    [{ labels: labelsOf(1025) }, "labels too_many_bytes"],
    [{ lane: "" }, "lane too_small"],
    [{ priority: 101 }, "priority too_big"],
    [{ priority: -101 }, "priority too_small"],
    [{ priority: 0.5 }, "priority invalid_type"],
    [{ concurrencyKey: "" }, "concurrencyKey too_small"],
    [{ concurrencyKey: "a\nb" }, "concurrencyKey invalid_key"],
    [{ concurrencyKey: "é".repeat(129) }, "concurrencyKey too_big"],
    [{ stopGraceSeconds: -1 }, "stopGraceSeconds too_small"],
    [{ cleanup: "sometimes" }, "cleanup invalid_value"],
    [{ registryAuth: "user:pw" }, "registryAuth invalid_type"],
    [{ sidecars: [container, container] }, "sidecars.1.name duplicate"],
    [{ sidecars: [container], initContainers: [container] }, "initContainers.0.name duplicate"],
    [{ sidecars: [{ name: "a" }] }, "sidecars.0.image required"],
    [{ healthCheck: {} }, "healthCheck.command required"],
    [{ placement: { arch: "vax" } }, "placement.arch invalid_value"],
    [{ budget: {} }, "budget.maxCostUsd required"],
    [{ budget: { maxCostUsd: 0 } }, "budget.maxCostUsd too_small"],
  ])("%j: %s", (part, fault) => {
    expect(faults(withImage(part))).toEqual([fault]);
  });

  test("regression: has room for 32 labels of 1 KiB, and hears how many bytes it has of them", () => {
    expect(parseJobSpec(withImage({ labels: labelsOf(1024) })).labels).toEqual(labelsOf(1024));
    expect(parseJobSpec(withImage({ labels: variables(32) })).labels).toEqual(variables(32));
    const prefix = `${"p".repeat(63)}.`.repeat(3);
    const prefixed = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`${prefix}example/${i}`, "x".repeat(63)]));
    const bytes = Buffer.byteLength(Object.entries(prefixed).flat().join(""));
    expect(failure(withImage({ labels: prefixed })).violations).toEqual([
      {
        path: "labels",
        code: "too_many_bytes",
        message: `at most 1024 bytes of keys and values, the spec has ${bytes}`,
      },
    ]);
  });

  test("is told what would have been right", () => {
    const messages = failure(
      withImage({
        timeoutSeconds: 0,
        name: 7,
        args: "x",
        network: { mode: "host" },
        command: [],
        budget: { maxCostUsd: 0 },
      }),
    ).violations.map(({ path, message }) => `${path} ${message}`);
    expect(messages.sort()).toEqual([
      "args must be a list",
      "budget.maxCostUsd must be more than 0",
      "command must not be empty",
      "name must be a text",
      "network.mode must be one of none, isolated, workflow",
      "timeoutSeconds must be at least 1",
    ]);
  });
});

describe("whatever comes", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("/a", "alpine", "env:A", "a\0", "..", "docker"),
  );
  const number = fc.oneof(fc.integer({ min: -10, max: 200 }), fc.double());
  const anything = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.jsonValue({ maxDepth: 3 }));
  const texts = fc.array(text, { maxLength: 3 });
  const map = fc.dictionary(fc.oneof(fc.stringMatching(/^[A-Z]{1,4}$/), fc.string()), text, { maxKeys: 4 });
  const oneOf = (...values: unknown[]) => fc.oneof(fc.constantFrom(...values), anything);
  const shaped = fc.record(
    {
      name: oneOf("a", "nightly"),
      image: oneOf("alpine", "host.example/a:1"),
      command: fc.oneof(texts, anything),
      args: texts,
      env: map,
      secrets: fc.dictionary(fc.string(), fc.record({ from: text }, { requiredKeys: [] }), { maxKeys: 2 }),
      sensitive: texts,
      runtime: oneOf("docker", "process", "stub"),
      resources: fc.record({ cpu: number, memoryMiB: number }, { requiredKeys: [] }),
      timeoutSeconds: number,
      retry: fc.record({ maxAttempts: number, on: fc.array(oneOf("OOM", "AUTH")) }, { requiredKeys: [] }),
      artifacts: fc.record({ paths: texts, gzip: fc.boolean() }, { requiredKeys: [] }),
      volumes: fc.array(fc.record({ source: text, target: text }), { maxLength: 2 }),
      labels: map,
      priority: number,
      sidecars: fc.array(fc.record({ name: text, image: text, env: map }), { maxLength: 2 }),
      placement: anything,
      extra: anything,
    },
    { requiredKeys: [] },
  );
  const mild = fc.record(
    {
      image: fc.constantFrom("alpine", "host.example/a_b:1"),
      command: fc.array(fc.stringMatching(/^[a-z ]{1,9}$/), { minLength: 1, maxLength: 3 }),
      env: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), fc.string({ unit: "grapheme" }), { maxKeys: 3 }),
      timeoutSeconds: fc.integer({ min: 1, max: 2_000_000 }),
      priority: fc.constantFrom(-0, 0, 5, -100),
      resources: fc.record({ cpu: fc.double({ min: 0.01, max: 4, noNaN: true }) }, { requiredKeys: [] }),
      labels: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.stringMatching(/^[a-z]{0,8}$/), { maxKeys: 3 }),
      cleanup: fc.constantFrom("always", "never", undefined),
    },
    { requiredKeys: ["image"] },
  );

  test("10,000 values become a spec or a VALIDATION error, and nothing else", () => {
    const seen = { accepted: 0, refused: 0 };
    const values = fc.oneof(fc.jsonValue(), anything, shaped, shaped, mild, mild);
    fc.assert(
      fc.property(values, (input) => {
        try {
          const spec = parseJobSpec(input);
          expect(spec.name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
          seen.accepted += 1;
        } catch (error) {
          expect(error).toMatchObject({ name: "LongshoreError", code: "VALIDATION" });
          expect((error as LongshoreError).violations?.length).toBeGreaterThan(0);
          seen.refused += 1;
        }
      }),
      { numRuns: 10_000 },
    );
    expect(seen.accepted).toBeGreaterThan(1000);
    expect(seen.refused).toBeGreaterThan(1000);
  });

  test("what was accepted is accepted again, and is the same, after a trip through JSON too", () => {
    fc.assert(
      fc.property(mild, (input) => {
        const once = parseJobSpec(input);
        expect(parseJobSpec(once)).toEqual(once);
        expect(parseJobSpec(JSON.parse(JSON.stringify(once)))).toEqual(once);
      }),
      { numRuns: 500 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { canonicalJson } from "../../../engine/spec/hash.ts";
import { parseJobSpec } from "../../../engine/spec/parse.ts";
import { REDACTED, redactSpec } from "../../../engine/spec/redact.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";

const IMAGE = "alpine:3.20";
const redact = (input: JobSpecInput) => redactSpec(parseJobSpec({ image: IMAGE, ...input }));

function refusal(input: JobSpecInput): LongshoreError {
  const spec = parseJobSpec({ image: IMAGE, ...input });
  try {
    redactSpec(spec);
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "VALIDATION") return error;
    throw error;
  }
  throw new Error("this spec was redacted");
}

describe("a redacted spec", () => {
  test("without a secret is the spec", () => {
    const spec = parseJobSpec({
      image: IMAGE,
      args: ["a"],
      env: { A: "b" },
      labels: { c: "d" },
      healthCheck: { command: ["e"] },
    });
    expect(redactSpec(spec)).toEqual({ redacted: spec, secretValues: [] });
  });

  test("hides variables by name, by `sensitive` and by value, in every container", () => {
    const env = {
      DB_PASSWORD: "hunter2",
      MY_ODD_NAME: "odd-value",
      CACHE: "redis://:pw-of-cache@cache/0",
      LOG_LEVEL: "debug",
      EMPTY_TOKEN: "",
    };
    const container = { name: "a", image: IMAGE, env };
    const { redacted, secretValues } = redact({
      env,
      sensitive: ["MY_ODD_NAME"],
      sidecars: [container],
      initContainers: [{ name: "b", image: IMAGE, env: { ...env, DB_PASSWORD: "hunter3" } }],
    });
    const hidden = {
      DB_PASSWORD: REDACTED,
      MY_ODD_NAME: REDACTED,
      CACHE: REDACTED,
      LOG_LEVEL: "debug",
      EMPTY_TOKEN: REDACTED,
    };
    expect([redacted.env, redacted.sidecars[0]?.env, redacted.initContainers[0]?.env]).toEqual([
      hidden,
      hidden,
      hidden,
    ]);
    expect(secretValues.sort()).toEqual([
      "hunter2",
      "hunter3",
      "odd-value",
      "pw-of-cache",
      "redis://:pw-of-cache@cache/0",
    ]);
  });

  test("hides a value wherever else it occurs, in whatever form", () => {
    const value = "hunter2/hunter2";
    const coded = Buffer.from(`user:${value}`).toString("base64");
    const { redacted } = redact({
      image: "registry.example/hunter2/hunter2:1",
      name: "a",
      env: { DB_PASSWORD: value, NOTE: `it is ${value}!` },
      command: ["sh", `-c ${value}`],
      args: [value, coded, encodeURIComponent(value)],
      labels: { a: "hunter2" },
      workdir: `/${value}`,
      volumes: [{ source: `/data/${value}`, target: `/mnt/${value}` }],
      artifacts: { paths: [`/out/${value}/*`] },
      healthCheck: { command: ["check", value] },
      sidecars: [{ name: "s", image: "hunter2/hunter2", args: [value] }],
    });
    const text = canonicalJson(redacted);
    for (const form of [value, coded, encodeURIComponent(value)]) expect(text).not.toContain(form);
    expect(redacted.env.NOTE).toBe(`it is ${REDACTED}!`);
    expect(redacted.image).toBe(`registry.example/${REDACTED}:1`);
    expect(redacted.labels).toEqual({ a: "hunter2" });
  });

  test("hides what looks like a secret in a command, and leaves the rest of it to be read", () => {
    const { redacted, secretValues } = redact({
      command: ["sh", "-c", "PGPASSWORD=hunter2 psql -h db && echo $TOKEN"],
      args: [
        "--url",
        "https://u:pass-word@h/p",
        "--password",
        "pw",
        "--api-key",
        "-v",
        "--token=ab",
        "AKIAIOSFODNN7EXAMPLE",
      ],
    });
    expect(redacted.command).toEqual(["sh", "-c", `PGPASSWORD=${REDACTED} psql -h db && echo $TOKEN`]);
    const shown = ["--url", REDACTED, "--password", REDACTED, "--api-key", "-v", `--token=${REDACTED}`, REDACTED];
    expect(redacted.args).toEqual(shown);
    expect(secretValues.sort()).toEqual(
      ["hunter2", "https://u:pass-word@h/p", "pass-word", "pw", "ab", "AKIAIOSFODNN7EXAMPLE"].sort(),
    );
  });

  test("keeps references visible: they are no values", () => {
    const { redacted, secretValues } = redact({
      secrets: { API_TOKEN: { from: "env:API_TOKEN" }, KEY: { from: "file:/run/secrets/key" } },
      registryAuth: { from: "env:REGISTRY_AUTH" },
      sensitive: ["NOT_THERE"],
    });
    expect(redacted.secrets).toEqual({ API_TOKEN: { from: "env:API_TOKEN" }, KEY: { from: "file:/run/secrets/key" } });
    expect(redacted.registryAuth).toEqual({ from: "env:REGISTRY_AUTH" });
    expect(secretValues).toEqual([]);
  });

  test("gives each line of a long value, and a URL's password as it is meant", () => {
    const { secretValues } = redact({
      env: { PRIVATE_KEY: "line-one\r\nabc\nline-two", DATABASE_URL: "postgres://u:p%40ssword@h/d" },
    });
    expect(secretValues).toEqual([
      "line-one\r\nabc\nline-two",
      "line-one",
      "line-two",
      "postgres://u:p%40ssword@h/d",
      "p%40ssword",
      "p@ssword",
    ]);
  });

  test("takes a percent sign in a password for what it is when it escapes nothing", () => {
    expect(redact({ env: { U: "amqp://u:50%ab%zz@h" } }).secretValues).toEqual(["amqp://u:50%ab%zz@h", "50%ab%zz"]);
  });

  test("does not mistake the words of the contract for a leak", () => {
    const { redacted } = redact({
      runtime: "docker",
      env: { A_PASSWORD: "docker", B_PASSWORD: "isolated", C_PASSWORD: "default", D_PASSWORD: "always" },
    });
    expect([redacted.runtime, redacted.network.mode, redacted.lane, redacted.cleanup]).toEqual([
      "docker",
      "isolated",
      "default",
      "always",
    ]);
  });

  test("treats a label that is called like a member of the spec as any other label", () => {
    const { redacted } = redact({ env: { TOKEN: "hunter22" }, labels: { name: "hunter22", mode: "x-hunter22" } });
    expect(redacted.labels).toEqual({ name: REDACTED, mode: `x-${REDACTED}` });
  });
});

describe("a sensitive value in a place that must stay as it is", () => {
  const env = { DB_PASSWORD: "hunter22" };
  test.each<[JobSpecInput, string]>([
    [{ name: "my-hunter22" }, "name"],
    [{ lane: "hunter22" }, "lane"],
    [{ runtime: "hunter22" }, "runtime"],
    [{ concurrencyKey: "db/hunter22" }, "concurrencyKey"],
    [{ concurrencyKey: Buffer.from("hunter22").toString("base64") }, "concurrencyKey"],
    [{ labels: { hunter22: "a" } }, "labels"],
    [{ env: { ...env, x_hunter22: "a" } }, "env"],
    [{ secrets: { hunter22: { from: "env:A" } } }, "secrets"],
    [{ secrets: { A: { from: "env:hunter22" } } }, "secrets"],
    [{ registryAuth: { from: "env:hunter22" } }, "registryAuth.from"],
    [{ sensitive: ["hunter22"] }, "sensitive.0"],
    [{ sidecars: [{ name: "hunter22", image: IMAGE }] }, "sidecars.0.name"],
    [{ initContainers: [{ name: "a", image: IMAGE, env: { hunter22: "x" } }] }, "initContainers.0.env"],
  ])("%j is refused at %s, without saying it", (part, path) => {
    const error = refusal({ env, ...part });
    expect(error.violations).toEqual([
      { path, code: "contains_secret", message: `spec.${path} contains the value of a sensitive variable` },
    ]);
    expect(error.message).not.toContain("hunter22");
  });
});

describe("whatever the values are", () => {
  const unit = fc.constantFrom(...'abcXYZ019 /+%"\\\nß漢');
  const value = fc.string({ unit, minLength: 6, maxLength: 30 });
  const surrounding = fc.string({ unit: fc.constantFrom(..."[]{}<>.,"), maxLength: 5 });

  test("none survives in the canonical form of the redacted spec, in any text that may hold it", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), surrounding, (values, around) => {
        const env = Object.fromEntries(values.map((text, i) => [`TOKEN_${i}`, text]));
        const args = values.flatMap((text) => [around + text + around, Buffer.from(text).toString("hex")]);
        const { redacted, secretValues } = redact({
          env: { ...env, NOTE: args.join(around) },
          args,
          healthCheck: { command: ["x", ...args] },
        });
        const text = canonicalJson(redacted);
        for (const secret of values) {
          expect(secretValues).toContain(secret);
          expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
          expect(text).not.toContain(Buffer.from(secret).toString("hex"));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("redacting changes nothing but texts, and a second time nothing at all", () => {
    fc.assert(
      fc.property(value, value, (secret, other) => {
        const spec = parseJobSpec({ image: IMAGE, env: { TOKEN: secret }, args: [other, `${other}${secret}`] });
        const { redacted } = redactSpec(spec);
        expect({ ...redacted, env: {}, args: [] }).toEqual({ ...spec, env: {}, args: [] });
        expect(redactSpec(redacted).redacted).toEqual(redacted);
      }),
    );
  });
});

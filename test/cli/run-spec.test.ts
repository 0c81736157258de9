import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { parse } from "../../cli/command.ts";
import { UsageError } from "../../cli/context.ts";
import { RUN_FLAGS } from "../../cli/run-flags.ts";
import { runSpec } from "../../cli/run-spec.ts";
import { parseSpecs } from "../../cli/spec-file.ts";
import { temporaryDirectory } from "./spawn.ts";

function specOf(args: string[], { env = {}, input = "" }: { env?: Record<string, string>; input?: string } = {}) {
  return runSpec(parse(args, RUN_FLAGS), { env, stdin: Readable.from([Buffer.from(input)]) });
}

describe("flags that nobody can understand", () => {
  it.each<[string[], string]>([
    [["run-what"], ""],
    [[], "IMAGE is missing"],
    [["--", "echo"], "IMAGE is missing"],
    [["--runtime", "docker", "--", "echo"], "IMAGE is missing"],
    [["alpine", "echo"], "follows a --"],
    [["alpine", "--nope"], "Unknown option '--nope'"],
    [["alpine", "-x"], "Unknown option '-x'"],
    [["alpine", "--name"], "argument missing"],
    [["alpine", "--detach=yes"], "does not take an argument"],
    [["alpine", "-e", ""], "-e needs"],
    [["alpine", "-e", "=x"], "-e needs a name"],
    [["alpine", "--secret", "TOKEN"], "--secret needs K=SOURCE"],
    [["alpine", "--label", "team"], "--label needs"],
    [["alpine", "-v", "/a"], "-v"],
    [["alpine", "-v", "/a:/b:rx"], "-v"],
    [["alpine", "-v", "/a:/b:ro:z"], "-v"],
    [["alpine", "-v", ":/b"], "-v"],
    [["alpine", "--cpu", "two"], "--cpu"],
    [["alpine", "--memory", "1"], "--memory"],
    [["alpine", "--timeout", "soon"], "--timeout"],
    [["alpine", "--retries", "-1"], "--retries"],
    [["alpine", "--env-file", "/nonexistent/file"], "cannot read /nonexistent/file (ENOENT)"],
    [["--spec", "/nonexistent/file"], "cannot read /nonexistent/file (ENOENT)"],
  ])("%j", async (args, message) => {
    if (message === "") return expect(await specOf(args)).toEqual({ image: "run-what" });
    const refused = Promise.resolve().then(() => specOf(args));
    await expect(refused).rejects.toThrow(UsageError);
    await expect(Promise.resolve().then(() => specOf(args))).rejects.toThrow(message);
  });
});

describe("flags", () => {
  it("make a spec", async () => {
    const args = [
      "-e",
      "A=1",
      "-eB=2=3",
      "--secret",
      "T=env:TOKEN",
      "-v",
      "/d:/data:ro",
      "-v",
      "/e:/e",
      "--cpu",
      "0.5",
    ];
    args.push("--memory", "256MiB", "--timeout", "10m", "--retries", "2", "--runtime", "docker", "--artifact", "/o/*");
    args.push("--artifact=/p/**", "--name", "n", "--label", "team=data", "alpine:3", "--", "sh", "-c", "--json");
    expect(await specOf(args)).toEqual({
      image: "alpine:3",
      args: ["sh", "-c", "--json"],
      env: { A: "1", B: "2=3" },
      secrets: { T: { from: "env:TOKEN" } },
      volumes: [
        { source: "/d", target: "/data", readOnly: true },
        { source: "/e", target: "/e", readOnly: false },
      ],
      resources: { cpu: 0.5, memoryMiB: 256 },
      timeoutSeconds: 600,
      retry: { maxAttempts: 3 },
      runtime: "docker",
      artifacts: { paths: ["/o/*", "/p/**"] },
      name: "n",
      labels: { team: "data" },
    });
  });

  it("take the caller's variables by name, as docker does", async () => {
    const spec = await specOf(["-e", "MINE", "-e", "UNSET", "-e", "EMPTY", "alpine"], {
      env: { MINE: "x", EMPTY: "" },
    });
    expect(spec.env).toEqual({ MINE: "x", EMPTY: "" });
  });

  it("win over an --env-file, and a later file over an earlier one", async () => {
    await using directory = await temporaryDirectory();
    const [first, second] = [join(directory.path, "1.env"), join(directory.path, "2.env")];
    await writeFile(first, "# comment\nA=1\nB='two words'\nexport C=3\n");
    await writeFile(second, "C=4\nD=5\n");
    const spec = await specOf(["--env-file", first, "--env-file", second, "-e", "D=6", "alpine"]);
    expect(spec.env).toEqual({ A: "1", B: "two words", C: "4", D: "6" });
  });

  it("give a process its command", async () => {
    expect(await specOf(["--runtime", "process", "--", "sh", "-c", "true"])).toEqual({
      runtime: "process",
      command: ["sh", "-c", "true"],
      args: [],
    });
  });

  it("treat __proto__ as a name like any other", async () => {
    const spec = await specOf(["-e", "__proto__=x", "alpine"]);
    expect(JSON.stringify(spec)).toBe('{"image":"alpine","env":{"__proto__":"x"}}');
  });
});

describe("a --spec", () => {
  const yaml = `
name: nightly
image: alpine:3.20
command: [sh, -c]
args: ["echo hi"]
env: { A: "1", T: plain }
secrets: { S: { from: "env:S" } }
labels: { team: data, tier: low }
volumes: [{ source: /d, target: /data }]
retry: { maxAttempts: 3, delaySeconds: 1 }
resources: { cpu: 1 }
artifacts: { paths: [/a], gzip: true }
`;

  it("gives way to flags, key by key", async () => {
    const args = [
      "--spec",
      "-",
      "-e",
      "S=now plain",
      "--secret",
      "T=env:T",
      "--label",
      "tier=high",
      "-v",
      "/x:/data:ro",
    ];
    args.push("--retries", "0", "--memory", "1g", "--artifact", "/b", "--", "echo bye");
    expect(await specOf(args, { input: yaml })).toEqual({
      name: "nightly",
      image: "alpine:3.20",
      command: ["sh", "-c"],
      args: ["echo bye"],
      env: { A: "1", S: "now plain" },
      secrets: { T: { from: "env:T" } },
      labels: { team: "data", tier: "high" },
      volumes: [{ source: "/x", target: "/data", readOnly: true }],
      retry: { maxAttempts: 1, delaySeconds: 1 },
      resources: { cpu: 1, memoryMiB: 1024 },
      artifacts: { paths: ["/b"], gzip: true },
    });
  });

  it("is passed on as it is without flags, mistakes and unknown keys too", async () => {
    const input = '{"image": "alpine", "env": ["A"], "typo": 1}';
    expect(await specOf(["--spec", "-"], { input })).toEqual({ image: "alpine", env: ["A"], typo: 1 });
  });

  it.each([
    ["nothing", "", "holds no job spec"],
    ["a comment", "# later", "no job spec"],
    ["a text", "just text", "no job spec"],
    ["a list of texts", "[a, b]", "no job spec"],
    ["broken YAML", "image: [alpine", "neither YAML nor JSON"],
    ["a tab", "a:\n\tb: 1", "neither YAML nor JSON"],
    ["a key twice", "image: a\nimage: b", "neither YAML nor JSON"],
    ["an alias of nothing", "image: *x", "neither YAML nor JSON"],
    ["several documents", "image: a\n---\nimage: b", "several job specs"],
    ["a list of two", '[{"image":"a"},{"image":"b"}]', "several job specs"],
  ])("that holds %s is refused in one line", async (_, input, message) => {
    const error = await specOf(["--spec", "-"], { input }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain("\n");
  });

  it("that cannot be read does not have its secrets repeated", () => {
    const content = "env:\n  PASSWORD: hunter2\n  TOKEN: {hunter2: [";
    expect(() => parseSpecs("job.yaml", content)).toThrow(/^(?!.*hunter2)job\.yaml is neither/);
  });

  it("does not fill the memory by aliases", () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (const [name, before] of ["ba", "cb", "dc", "ed", "fe"].map((two) => [two[0], two[1]])) {
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`);
    }
    expect(() => parseSpecs("job.yaml", bomb.join("\n"))).toThrow(UsageError);
  });
});

import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localParts, saveFile, UnsafeName } from "../../cli/save-file.ts";
import type { Artifact } from "../../sdk/types.ts";
import {
  aJob,
  type ContractServer,
  JOB_ID,
  json,
  openStream,
  sse,
  startContractServer,
} from "../sdk/contract-server.ts";
import { runInProcess } from "./in-process.ts";

let server: ContractServer;
let folder: string;
let output: string;
beforeEach(async () => {
  server = await startContractServer();
  folder = await mkdtemp(join(tmpdir(), "longshore-download-"));
  output = join(folder, "output");
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const run = (...args: string[]) => runInProcess(["--endpoint", server.url, ...args]);
const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A server that has these files, whatever their names. */
function hasFiles(files: Record<string, string | Buffer>, over: Partial<Artifact> = {}): void {
  const items = Object.entries(files).map(([name, content]): Artifact => {
    const bytes = Buffer.from(content);
    const path = name.split("/").map(encodeURIComponent).join("/");
    server.routes[`GET /jobs/${JOB_ID}/artifacts/${new URL(`http://x/${path}`).pathname.slice(1)}`] = (_, response) =>
      void response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    const facts = { contentType: "text/plain", encoding: null, storedAt: "2026-01-02T03:04:05.000Z" };
    return { name, path: `/${name}`, sizeBytes: bytes.length, sha256: hashOf(bytes), ...facts, ...over };
  });
  const refused = [{ path: "/out/link", code: "symlink", message: "it is a symbolic link" }];
  server.routes[`GET /jobs/${JOB_ID}/artifacts`] = (_, response) => json(response, { items, refused, refusedCount: 3 });
}

describe("longshore jobs artifacts", () => {
  it("shows what was kept and what was not", async () => {
    hasFiles({ "out/a.csv": "a" });
    const { code, stdout, stderr } = await run("jobs", "artifacts", JOB_ID);
    expect(code).toBe(0);
    expect(stdout).toContain(`out/a.csv  1      text/plain  ${hashOf(Buffer.from("a"))}`);
    expect(stderr).toBe("not kept: /out/link: it is a symbolic link\nand 2 more were not kept\n");
    expect(JSON.parse((await run("--json", "jobs", "artifacts", JOB_ID)).stdout)).toMatchObject({ refusedCount: 3 });
  });
});

describe("longshore jobs download", () => {
  it("saves every file below the directory, or those that are named", async () => {
    hasFiles({ "a.txt": "a", "sub/dir/b.txt": "b", "sp ace%.txt": "c" });
    const { code, stdout } = await run("jobs", "download", JOB_ID, "--output", output);
    expect(code).toBe(0);
    expect(stdout.trim().split("\n")).toEqual(
      ["a.txt", "sub/dir/b.txt", "sp ace%.txt"].map((name) => join(output, name)),
    );
    expect(await readFile(join(output, "sub/dir/b.txt"), "utf8")).toBe("b");
    const other = join(folder, "other");
    expect((await run("jobs", "download", JOB_ID, "sub/dir/b.txt", "-o", other)).code).toBe(0);
    expect(readdirSync(other)).toEqual(["sub"]);
    const unknown = await run("jobs", "download", JOB_ID, "nope", "-o", other);
    expect([unknown.code, unknown.stderr]).toEqual([2, 'longshore: the job kept no file "nope"; see jobs artifacts\n']);
  });

  it("unpacks what was compressed", async () => {
    const text = "again and again ".repeat(10_000);
    hasFiles({ "a.txt": gzipSync(text) }, { encoding: "gzip" });
    expect((await run("jobs", "download", JOB_ID, "-o", output)).code).toBe(0);
    expect(await readFile(join(output, "a.txt"), "utf8")).toBe(text);
  });

  it("saves nothing whose bytes are not those that were stored, and says so", async () => {
    hasFiles({ "a.txt": "a", "b.txt": "b" }, { sha256: hashOf(Buffer.from("b")) });
    const { code, stdout, stderr } = await run("jobs", "download", JOB_ID, "-o", output);
    expect([code, stdout]).toEqual([125, `${join(output, "b.txt")}\n`]);
    expect(stderr).toBe(
      "longshore: a.txt: a.txt was not received as it was stored: its bytes are not those that were stored\n",
    );
    // Nor is there a half of it.
    expect(readdirSync(output)).toEqual(["b.txt"]);
    await rm(output, { recursive: true });
    const spoilt = gzipSync("text");
    spoilt[spoilt.length - 6]! ^= 1;
    hasFiles({ "a.txt": spoilt }, { encoding: "gzip", sha256: hashOf(gzipSync("text")) });
    const unpacked = await run("--json", "jobs", "download", JOB_ID, "-o", output);
    expect([unpacked.code, readdirSync(output)]).toEqual([125, []]);
  });

  it("saves nothing outside of the directory, whatever a server says", async () => {
    const names = ["../up", "/abs", "a/../../up", "a//b", "", ".", "..", "a/.", "a/..", "\u0000", "./x"];
    hasFiles(Object.fromEntries(names.map((name) => [name, "evil"])));
    const { code, stdout, stderr } = await run("jobs", "download", JOB_ID, "-o", join(output, "deep"));
    expect([code, stdout]).toEqual([125, ""]);
    expect(stderr.split("\n").filter((line) => line.includes("leads out of the directory"))).toHaveLength(names.length);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("follows no link that is in the way, and replaces nothing that it was not told to", async () => {
    const outside = join(folder, "outside");
    await mkdir(outside);
    await writeFile(join(outside, "target"), "mine");
    await mkdir(output);
    await symlink(outside, join(output, "linked"));
    await symlink(join(outside, "target"), join(output, "file-link"));
    await symlink(join(outside, "new"), join(output, "dangling"));
    await writeFile(join(output, ".bashrc"), "mine");
    hasFiles({
      "linked/target": "evil",
      "linked/new": "evil",
      "file-link": "evil",
      dangling: "evil",
      ".bashrc": "evil",
    });
    for (const flags of [[], ["--force"]]) {
      const { code } = await run("jobs", "download", JOB_ID, "-o", output, ...flags);
      expect(code).toBe(125);
      expect(await readFile(join(outside, "target"), "utf8")).toBe("mine");
      expect(readdirSync(outside)).toEqual(["target"]);
      expect(await readFile(join(output, ".bashrc"), "utf8")).toBe(flags.length === 0 ? "mine" : "evil");
    }
    expect(existsSync(join(outside, "new"))).toBe(false);
    for (const link of ["file-link", "dangling"]) expect(lstatSync(join(output, link)).isSymbolicLink()).toBe(true);
  });
});

describe("a name", () => {
  it.each(["con", "NUL.txt", "a/Com1", "lpt9.tar.gz", "a:b", "a\\b", "a.", "a ", "x/..  ", "q?", "a\u0001"])(
    "such as %j is refused where Windows would take it for something else",
    (name) => {
      expect(() => localParts(name, "win32")).toThrow(UnsafeName);
    },
  );

  it.each(["con", "a:b", "a.", ".hidden", "console.log", "..a"])("such as %j is one elsewhere", (name) => {
    expect(localParts(name, "linux")).toEqual([name]);
  });
});

describe("a file that is being saved", () => {
  it("is not there before it is there as a whole, and its beginning is removed when the rest fails", async () => {
    async function* failing() {
      yield Buffer.from("half");
      expect(readdirSync(output)).toEqual([expect.stringMatching(/^\.longshore-.*\.part$/)]);
      throw new Error("broke off");
    }
    const options = { directory: output, parts: ["a"], force: false };
    await expect(saveFile(options, failing())).rejects.toThrow("broke off");
    expect(readdirSync(output)).toEqual([]);
  });

  it("does not replace what came into its place meanwhile", async () => {
    async function* slow() {
      yield Buffer.from("new");
      await writeFile(join(output, "a"), "theirs");
    }
    await expect(saveFile({ directory: output, parts: ["a"], force: false }, slow())).rejects.toThrow(UnsafeName);
    expect([readdirSync(output), await readFile(join(output, "a"), "utf8")]).toEqual([["a"], "theirs"]);
  });
});

describe("longshore run --artifact", () => {
  it("asks for the files, and tells at the end what was kept and what was not", async () => {
    const job = aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 });
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    for (const what of ["logs", "events"]) {
      server.routes[`GET /jobs/${JOB_ID}/${what}`] = (_, response) =>
        void openStream(response).end(sse({ event: "end", data: job }));
    }
    hasFiles({ "out/a.csv": "a" });
    const { code, stderr } = await run("run", "--artifact", "/out/*.csv", "--artifact", "/log", "alpine");
    expect(code).toBe(0);
    expect(JSON.parse(server.received[0]?.body ?? "").artifacts).toEqual({ paths: ["/out/*.csv", "/log"] });
    expect(stderr).toContain(`kept out/a.csv: longshore jobs download ${JOB_ID}`);
    expect(stderr).toContain("not kept: /out/link: it is a symbolic link");
  });
});

import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readArtifacts } from "../../../../adapters/runtime/process/artifacts.ts";
import type { ArtifactEntry } from "../../../../engine/ports/runtime.ts";

const OUTSIDE = "of-somebody-else";
const LIMITS = { entries: 1000, bytes: 10_000_000 };
let folder: string;
let work: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "longshore-artifacts-"));
  work = join(folder, "work");
  mkdirSync(join(work, "out"), { recursive: true });
  mkdirSync(join(folder, "elsewhere"));
  writeFileSync(join(folder, "elsewhere", "secret"), OUTSIDE);
});
afterEach(() => rm(folder, { recursive: true }));

type File = Extract<ArtifactEntry, { kind: "file" }>;
async function left(paths: string[], { workdir = work, limits = LIMITS, before = (_: File): void => undefined } = {}) {
  const files: Record<string, string> = {};
  const refused: [path: string, code: string][] = [];
  for await (const entry of readArtifacts(workdir, { paths, workdir: null, limits })) {
    if (entry.kind === "refused") refused.push([entry.path, entry.code]);
    else {
      before(entry);
      files[entry.path] = Buffer.concat(await Array.fromAsync(entry.body)).toString();
    }
  }
  return { files, refused };
}
const put = (name: string, text = name) => {
  mkdirSync(join(work, name, ".."), { recursive: true });
  writeFileSync(join(work, name), text);
};

describe("the files in a process's working directory", () => {
  it("are handed over by their paths in it, hidden ones and odd ones as well", async () => {
    for (const name of ["a", "A", ".hidden", "sp ace é %2e", "new\nline", "..x", "d/e/f"]) put(name);
    const { files, refused } = await left(["**"]);
    expect(files).toEqual({
      ".hidden": ".hidden",
      "..x": "..x",
      A: "A",
      a: "a",
      "d/e/f": "d/e/f",
      "new\nline": "new\nline",
      "sp ace é %2e": "sp ace é %2e",
    });
    expect(refused).toEqual([]);
    expect((await left([join(work, "d/**")])).files).toEqual({ "d/e/f": "d/e/f" });
  });

  it("that are links, other names of files, fifos or sockets are named and left alone", async () => {
    put("good");
    symlinkSync(join(folder, "elsewhere", "secret"), join(work, "link"));
    symlinkSync(join(folder, "elsewhere"), join(work, "linked"));
    linkSync(join(folder, "elsewhere", "secret"), join(work, "hard"));
    execFileSync("mkfifo", [join(work, "fifo")]);
    const server = createServer().listen(join(work, "socket"));
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const { files, refused } = await left(["**", "linked/*"]);
      expect(files).toEqual({ good: "good" });
      expect(new Map(refused)).toEqual(
        new Map([
          ["fifo", "special"],
          ["hard", "hard_link"],
          ["link", "symlink"],
          ["linked", "symlink"],
          ["socket", "special"],
          ["linked/*", "no_match"],
        ]),
      );
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("are none of another place, whatever the glob says", async () => {
    put("good");
    const globs = ["/etc/*", "/**", join(folder, "elsewhere/*"), `${work}x/*`, "/{etc,root}/**"];
    const { files, refused } = await left(globs);
    expect(files).toEqual({});
    expect(new Set(refused.map(([, code]) => code))).toEqual(new Set(["outside"]));
    expect(new Set(refused.map(([path]) => path))).toEqual(new Set(globs));
  });

  it("are not those of a directory that the working directory was turned into a link to", async () => {
    rmSync(work, { recursive: true });
    symlinkSync(join(folder, "elsewhere"), work);
    expect(await left(["**"])).toEqual({ files: {}, refused: [[".", "symlink"]] });
    rmSync(work);
    expect(await left(["**"])).toEqual({ files: {}, refused: [[".", "unreadable"]] });
  });

  it("that are exchanged for links while they are read give nothing of what those lead to", async () => {
    for (const name of ["a/1", "b/1", "b/2", "c/1"]) put(name);
    const { files } = await left(["**"], {
      before: ({ path }) => {
        if (path !== "a/1" && path !== "b/1") return;
        // The directory that is open, and the one that comes next.
        for (const name of path === "a/1" ? ["c"] : ["b"]) {
          renameSync(join(work, name), join(work, `.moved-${name}`));
          symlinkSync(join(folder, "elsewhere"), join(work, name));
        }
      },
    });
    expect(files["b/2"]).toBe("b/2");
    expect(JSON.stringify(files)).not.toContain(OUTSIDE);
    expect(Object.keys(files)).not.toContain("c/secret");
  });

  it("that become shorter while they are read are not handed over as whole", async () => {
    put("a", "x".repeat(200_000));
    const reading = left(["a"], { before: () => truncateSync(join(work, "a"), 10) });
    await expect(reading).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("that become longer are handed over as they were when they were found", async () => {
    put("a", "short");
    const { files } = await left(["a"], { before: () => writeFileSync(join(work, "a"), "short and long") });
    expect(files).toEqual({ a: "short" });
  });

  it("are searched for within the limits, in depth too", async () => {
    for (let n = 0; n < 30; n++) put(`out/${n}`);
    expect((await left(["out/*"], { limits: { entries: 10, bytes: 1000 } })).refused).toEqual([["out/*", "limit"]]);
    put(`${"d/".repeat(200)}deep`);
    const { files, refused } = await left(["d/**"]);
    expect(files).toEqual({});
    expect(refused.map(([, code]) => code)).toEqual(["limit"]);
  });

  it("are looked for only where they can be", async () => {
    for (let n = 0; n < 50; n++) put(`cache/${n}`);
    put("out/a");
    expect((await left(["out/*"], { limits: { entries: 10, bytes: 1000 } })).files).toEqual({ "out/a": "out/a" });
  });
});

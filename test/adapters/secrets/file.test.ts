import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createFileSecrets } from "../../../adapters/secrets/file.ts";
import { secretsContract } from "../../contracts/secrets.ts";

const LIMIT = 64 * 1024;

secretsContract("file", async () => {
  const base = await mkdtemp(join(tmpdir(), "secrets-"));
  const at = (...parts: string[]): string => join(base, ...parts);
  await mkdir(at("root", "deep", "folder"), { recursive: true });
  await mkdir(at("root", "home"));
  await mkdir(at("outside"));
  await symlink(at("root"), at("linked-root"));
  const files: Record<string, string | Buffer> = {
    "root/plain": "value",
    "root/newline": "value\n",
    "root/windows": "value\r\n",
    "root/two-newlines": "value\n\n",
    "root/empty": "",
    "root/deep/folder/ünï": "deep",
    "root/full": "x".repeat(LIMIT),
    "root/too-large": "x".repeat(LIMIT + 1),
    "root/binary": Buffer.from([0x68, 0x69, 0xff, 0xfe]),
    "root/home/key": "the home's key",
    "outside/other": "an outsider",
    "root-beside": "beside the root",
  };
  for (const [name, content] of Object.entries(files)) await writeFile(at(name), content);
  await symlink(at("root", "plain"), at("root", "inner-link"));
  await symlink(at("outside", "other"), at("root", "outer-link"));
  await symlink(at("outside"), at("root", "outer-folder"));
  await symlink(at("root", "home"), at("root", "home-link"));
  await symlink(at("root", "nowhere"), at("root", "broken-link"));
  execFileSync("mkfifo", [at("root", "pipe")]);
  return {
    source: createFileSecrets({ roots: [at("linked-root"), at("root")], forbidden: [at("linked-root", "home")] }),
    known: {
      [at("root/plain")]: "value",
      [at("root/newline")]: "value",
      [at("root/windows")]: "value",
      [at("root/two-newlines")]: "value\n",
      [at("root/empty")]: "",
      [at("root/deep/folder/ünï")]: "deep",
      [at("root/full")]: "x".repeat(LIMIT),
      [at("root/inner-link")]: "value",
      [at("linked-root/plain")]: "value",
      [`${at("root")}/deep/../plain`]: "value",
    },
    missing: [
      at("root/none"),
      at("root/plain/none"),
      at("root/broken-link"),
      at("root/too-large"),
      at("root/binary"),
      at("root/deep"),
      at("root/pipe"),
    ],
    forbidden: [
      at("outside/other"),
      at("outside/none"),
      at("root-beside"),
      at("root"),
      at("root/outer-link"),
      at("root/outer-folder/other"),
      at("root/home/key"),
      at("root/home-link/key"),
      `${at("root")}/../outside/other`,
      "root/plain",
      "/proc/self/environ",
    ],
    hidden: ["an outsider", "the home's key", "beside the root"],
    dispose: async () => await rm(base, { recursive: true, force: true }),
  };
});

test("gives nothing without roots", async () => {
  const source = createFileSecrets({ roots: [], forbidden: [] });
  await expect(source.resolve("/etc/hostname")).rejects.toMatchObject({ code: "AUTH" });
});

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

/** The repository's root, absolute. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Whoever owns the working copy, reading its list of files runs nothing of it. */
const GIT_ARGUMENTS = [
  ...["-c", "safe.directory=*"],
  ...["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
];

/** Every text file that git knows or would take, by its path from the root, with its text. */
export async function repositoryFiles(): Promise<Map<string, string>> {
  const { stdout } = await execa("git", GIT_ARGUMENTS, {
    cwd: ROOT,
  });
  const paths = [...new Set(stdout.split("\0"))].filter((path) => path !== "").sort();
  const files = await Promise.all(paths.map(async (path) => [path, await textOf(`${ROOT}${path}`)] as const));
  return new Map(files.filter((file): file is [string, string] => file[1] !== null));
}

/** Null for what was deleted but not yet committed, and for what is no text. */
async function textOf(path: string): Promise<string | null> {
  try {
    const text = await readFile(path, "utf8");
    return text.includes("\0") ? null : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

import { execFile } from "node:child_process";
import { link, mkdtemp, open, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** A pipe called `gate` in a directory of its own: whoever opens it waits in the kernel, until it is lifted. */
export interface Gate extends AsyncDisposable {
  folder: string;
  /** Lets everybody go who waits or comes later. */
  lift(): Promise<void>;
}

/** Makes a gate that is closed. */
export async function makeGate(): Promise<Gate> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-gate-"));
  const pipe = join(folder, "pipe");
  const gate = join(folder, "gate");
  await promisify(execFile)("mkfifo", ["-m", "0644", pipe]);
  await link(pipe, gate);
  return {
    folder,
    async lift() {
      // Who comes from here on finds a file; who waits is let go by a writer that comes and goes.
      await writeFile(join(folder, "open"), "");
      await rename(join(folder, "open"), gate);
      await (await open(pipe, "w")).close();
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

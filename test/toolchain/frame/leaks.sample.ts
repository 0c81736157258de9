import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

it("leaves a directory and a process behind", async () => {
  await mkdtemp(join(tmpdir(), "forgotten-"));
  const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
  await once(child, "spawn");
  child.unref();
  expect(child.pid).toBeGreaterThan(1);
});

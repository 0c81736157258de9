import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when the text has appeared in what the command wrote so far to either output. */
  seen(text: string): Promise<void>;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

/** Starts `longshore` with nothing in its environment but what is given. */
export function startLongshore(args: string[], env: Record<string, string> = {}, input = ""): Running {
  const child = spawn(process.execPath, [join(ROOT, "cli/main.ts"), ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: "pipe",
  });
  const text = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      for (const check of waiting) check();
    });
  }
  child.stdin.on("error", () => undefined).end(input);
  const exited = new Promise<Awaited<Running["exited"]>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, ...text }));
  });
  return {
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    exited,
    seen: (wanted) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (!(text.stdout + text.stderr).includes(wanted)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
        void exited.then(
          () => reject(new Error(`it ended without ${wanted}:\n${text.stdout}\n${text.stderr}`)),
          reject,
        );
      }),
  };
}

export function runLongshore(args: string[], env: Record<string, string> = {}, input = ""): Running["exited"] {
  return startLongshore(args, env, input).exited;
}

export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "longshore-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

import { type ChildProcess, spawn } from "node:child_process";
import { extname } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Order, Reply } from "./records.ts";

/** The supervisor lies beside this file: a source when this is one, compiled when this is. */
const SUPERVISOR = fileURLToPath(new URL(`./supervisor${extname(import.meta.url)}`, import.meta.url));

/**
 * Starts a supervisor in a session of its own and gives it its order; resolves with it when it has said that the disk
 * tells what happened. It gets nothing of our environment, and its arguments hold the attempt's name only, for whoever
 * lists processes.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when it cannot be started or gives no answer.
 */
export async function startSupervisor(order: Order): Promise<ChildProcess> {
  let child: ChildProcess & { stdin: NodeJS.WritableStream; stdout: NodeJS.ReadableStream };
  try {
    child = spawn(process.execPath, [SUPERVISOR, order.claim.externalName], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    }) as typeof child;
  } catch (cause) {
    throw new LongshoreError("RUNTIME_UNAVAILABLE", "process: the supervisor cannot be started", { cause });
  }
  child.unref();
  // An event in place of an exception, as for a table of processes that is full; it comes with an empty answer.
  let failure: unknown;
  child.once("error", (error) => {
    failure = error;
  });
  // It may die before it has read everything; the answer that is missing tells.
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(order));
  const answer = await text(child.stdout);
  if (answer === "") {
    const options = failure === undefined ? {} : { cause: failure };
    throw new LongshoreError("RUNTIME_UNAVAILABLE", "process: the supervisor ended before it answered", options);
  }
  const { error } = JSON.parse(answer) as Reply;
  if (error !== undefined) {
    const message = `process: the supervisor cannot take the attempt (${error})`;
    throw new LongshoreError("RUNTIME_UNAVAILABLE", message, { providerCode: error });
  }
  return child;
}

import { text } from "node:stream/consumers";
import { take } from "./claim.ts";
import { errorCode, type Order, type Reply } from "./records.ts";
import { supervise } from "./supervise.ts";

// The entry point of the detached process that looks after one attempt. It takes its order whole, on its standard
// input; whatever happens to Longshore from then on is no matter to it.

/** Says that the disk now tells what happened; who was to hear it may be dead. */
function reply(message: Reply): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.on("error", () => resolve());
    process.stdout.end(`${JSON.stringify(message)}\n`, resolve);
  });
}

/** Undefined when Longshore died before it had said everything: then nothing has been started, nor will be. */
function parse(order: string): Order | undefined {
  try {
    return JSON.parse(order) as Order;
  } catch {
    return undefined;
  }
}

const jobUmask = process.umask(0o077);
const order = parse(await text(process.stdin));
if (order === undefined) process.exit(2);

// Once it is taken others may write a cancel and wake us, so the ear is there before; until `supervise` looks at the
// request by itself, a wake-up needs no answer.
let wake = (): void => undefined;
process.on("SIGCONT", () => wake());
process.on("SIGHUP", () => undefined);

let taken: string | undefined;
try {
  taken = take(order);
} catch (error) {
  // The code only: a message would tell a submitter where Longshore keeps its data.
  await reply({ error: errorCode(error) ?? "UNKNOWN" });
  process.exit(1);
}
if (taken === undefined) {
  await reply({});
  process.exit(0);
}
const life = supervise(taken, order, jobUmask);
wake = life.wake;
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, life.stop);
await life.decided;
await reply({});
await life.ended;
process.exit(0);

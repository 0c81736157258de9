// A Longshore of its own for the tests that kill one, or that race two: told what to do by its argument, it says each
// result on its standard output and then stays until it is ended.
import { createProcessRuntime } from "../../../../adapters/runtime/process/index.ts";
import type { Launch } from "../../../../engine/ports/runtime.ts";

interface Told {
  homeId: string;
  directory: string;
  launch: Omit<Launch, "report">;
  /** How many submits at the same time. */
  submits: number;
}

const { homeId, directory, launch, submits } = JSON.parse(process.argv[2] ?? "") as Told;
const adapter = createProcessRuntime({ homeId, directory });
setInterval(() => undefined, 60_000);
process.stdout.write("ready\n");
process.stdin.once("data", () => {
  const one = { ...launch, report: () => undefined, confirm: async () => undefined };
  for (let n = 0; n < submits; n++) {
    adapter.submit(one, new AbortController().signal).then(
      (ref) => process.stdout.write(`ref ${ref}\n`),
      (error: Error) => process.stdout.write(`error ${error.message}\n`),
    );
  }
});

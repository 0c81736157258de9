import { createStubRuntime } from "../../../../adapters/runtime/stub/index.ts";
import type { RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import type { RuntimeFacts, RuntimeHarness } from "../../../contracts/runtime-harness.ts";

/** How a stub says what others say by a shell, and what it cannot say. */
export const STUB_FACTS: RuntimeFacts = {
  runtime: "stub",
  translate: (act) => {
    if (act.act === "sleep") {
      const env = { STUB_STDOUT: "ready", STUB_DURATION_MS: "forever", STUB_ON_TERM: act.onTerm };
      return { command: ["stub"], args: [], env };
    }
    if (act.act === "leave") {
      const files = Object.entries(act.files).map(([path, text]) => [`/${path}`, text]);
      return { command: ["stub"], args: [], env: { STUB_FILES: JSON.stringify(Object.fromEntries(files)) } };
    }
    const textOf = (stream: string) => act.lines.filter((line) => line.stream === stream).map((line) => line.text);
    const env = {
      STUB_STDOUT: textOf("stdout").join("\n"),
      STUB_STDERR: textOf("stderr").join("\n"),
      STUB_EXIT_CODE: String(act.exitCode),
    };
    return { command: ["stub"], args: [], env };
  },
  cannot: [
    {
      reason: "a stub runs no command",
      tests: [
        "gives 128 + N when signal N ended the command",
        "hands over the environment exactly",
        "hands over the arguments exactly",
        "counts CPU time in seconds and memory in bytes",
        "refuses a command that cannot be started, and cleanup leaves nothing of it",
        "adopts what an earlier submit started",
        "starts once however many submit at the same time",
        "keeps the order of each stream and numbers without gaps",
        "counts the last line without a newline",
        "keeps empty lines and gives no line for no output",
        "replaces what is no UTF-8 and joins what was written in pieces",
        "keeps every byte of a line longer than 1 MiB",
      ],
    },
    {
      reason: "two stubs share nothing",
      tests: [
        "starts once when two processes of one home submit at the same time",
        "never adopts the same name of another home",
        "gives a successor of the same home everything again",
      ],
    },
  ],
};

/** Stubs of any home; what is left of one is what it lists, until it is disposed of and its memory with it. */
export async function stubHarness(): Promise<RuntimeHarness> {
  const alive = new Map<RuntimeAdapter, string>();
  return {
    adapter: (homeId) => {
      const stub = createStubRuntime({ homeId });
      const dispose = async (): Promise<void> => {
        alive.delete(adapter);
        await stub.dispose();
      };
      const adapter: RuntimeAdapter = { ...stub, dispose };
      alive.set(adapter, homeId);
      return adapter;
    },
    leftovers: async (homeId) => {
      const own = [...alive].filter(([, home]) => home === homeId);
      const lists = await Promise.all(own.map(async ([adapter]) => await Array.fromAsync(adapter.list())));
      return lists.flat().map((one) => one.externalName);
    },
    dispose: async () => undefined,
  };
}

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { mintHomeId, mintJobId } from "../../engine/ids.ts";
import type {
  ExternalRef,
  Launch,
  Owned,
  RuntimeAdapter,
  RuntimeStatus,
  RuntimeUsage,
} from "../../engine/ports/runtime.ts";
import {
  type Act,
  type LaunchOverrides,
  launchOf,
  type RuntimeFacts,
  type RuntimeHarness,
  readLines,
  texts,
  untilLine,
} from "./runtime-harness.ts";

const print = (lines: string[], exitCode = 0): Act => ({
  act: "print",
  lines: lines.map((text) => ({ stream: "stdout", text })),
  exitCode,
});
const sleeper: Act = { act: "sleep", onTerm: "end" };
const stubborn: Act = { act: "sleep", onTerm: "ignore" };
const shell = (script: string, args: string[] = []): Act => ({ act: "shell", script, args });
const never = (): AbortSignal => new AbortController().signal;
/** A different line in every start: what proves that there was only one. */
const ONE_START = "cat /proc/sys/kernel/random/uuid";
const UNKNOWN: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};

/**
 * What every runtime adapter keeps to. `facts` say what this runtime cannot do, as data; `setup` makes it ready.
 * Each test cleans up what it submitted; the last one looks past the adapter for anything that stayed.
 */
export function runtimeContract(name: string, facts: RuntimeFacts, setup: () => Promise<RuntimeHarness>): void {
  const timeout = facts.testTimeoutMs ?? 30_000;
  const skipped = new Map(
    (facts.cannot ?? []).flatMap((one) => one.tests.map((title) => [title, one.reason] as const)),
  );

  describe(`runtime contract: ${name}`, () => {
    const own = mintHomeId(Date.now());
    const foreign = mintHomeId(Date.now() + 1);
    let harness: RuntimeHarness;
    let adapter: RuntimeAdapter;
    let made: RuntimeAdapter[] = [];
    let launched: Launch[] = [];

    const another = async (homeId: string): Promise<RuntimeAdapter> => {
      const one = await harness.adapter(homeId);
      made.push(one);
      return one;
    };
    const launch = (act: Act, overrides: LaunchOverrides = {}): Launch => {
      const one = launchOf(facts, act, overrides);
      launched.push(one);
      return one;
    };
    const start = async (act: Act, overrides: LaunchOverrides = {}): Promise<ExternalRef> =>
      await adapter.submit(launch(act, overrides), never());
    const run = async (act: Act, overrides: LaunchOverrides = {}): Promise<[ExternalRef, RuntimeStatus]> => {
      const ref = await start(act, overrides);
      return [ref, await adapter.wait(ref, never())];
    };
    const owned = async (from: RuntimeAdapter): Promise<Owned[]> => await Array.fromAsync(from.list());
    const removeAll = async (homeId: string): Promise<void> => {
      const cleaner = await harness.adapter(homeId);
      for (const one of launched) {
        const ref = await cleaner.find(one.externalName);
        if (ref !== undefined) await cleaner.cleanup(ref);
      }
      await cleaner.dispose();
    };

    beforeAll(async () => {
      harness = await setup();
      adapter = await harness.adapter(own);
    }, 60_000);
    afterEach(async () => {
      for (const one of launched) {
        const ref = await adapter.find(one.externalName);
        if (ref !== undefined) await adapter.cleanup(ref);
      }
      for (const one of made) await one.dispose();
      for (const home of [own, foreign]) await removeAll(home);
      made = [];
      launched = [];
    }, 60_000);
    afterAll(async () => {
      try {
        expect(await harness.leftovers(own)).toEqual([]);
        expect(await harness.leftovers(foreign)).toEqual([]);
        expect([...skipped.keys()].filter((title) => !titles.has(title))).toEqual([]);
      } finally {
        await adapter.dispose();
        await harness.dispose();
      }
    }, 60_000);

    const titles = new Set<string>();
    const it = (title: string, body: () => Promise<void>): void => {
      titles.add(title);
      const reason = skipped.get(title);
      if (reason === undefined) test(title, { timeout }, body);
      // The reporter lists it with its reason at the end of the run.
      else describe(title, { skip: true, meta: { skipReason: reason } }, () => test(title, body));
    };

    describe("artifacts", () => {
      const limits = { entries: 1000, bytes: 10_000_000 };
      const LEFT = { "out/a.csv": "a,b\n", "out/deep/er/b.csv": "", "out/c.txt": "c", other: "no" };
      const left = async (ref: ExternalRef, paths: string[], reads = true) => {
        const files = new Map<string, string>();
        const refused: [string, string][] = [];
        for await (const entry of adapter.artifacts?.(ref, { paths, workdir: null, limits }) ?? []) {
          if (entry.kind === "refused") refused.push([entry.path, entry.code]);
          else {
            const chunks = reads ? await Array.fromAsync(entry.body) : [];
            const bytes = Buffer.concat(chunks);
            if (reads) expect(bytes.length).toBe(entry.sizeBytes);
            files.set(entry.path.replace(/^\//, ""), bytes.toString());
          }
        }
        return { files: Object.fromEntries(files), refused };
      };

      it("are handed over where the runtime says that it can, and nowhere else", async () => {
        expect(adapter.artifacts !== undefined).toBe(adapter.capabilities.artifacts);
      });

      it("of an attempt that has ended are the files under the globs, as often as they are asked for", async () => {
        const [ref] = await run({ act: "leave", files: LEFT });
        const csv = { "out/a.csv": "a,b\n", "out/deep/er/b.csv": "" };
        for (let times = 0; times < 2; times++) {
          expect(await left(ref, ["out/**/*.csv"])).toEqual({ files: csv, refused: [] });
        }
        expect(await left(ref, ["out/c.txt", "out/*.csv"])).toEqual({
          files: { "out/a.csv": "a,b\n", "out/c.txt": "c" },
          refused: [],
        });
      });

      it("that nobody reads are passed over, and what is not there is told", async () => {
        const [ref] = await run({ act: "leave", files: LEFT });
        const { files, refused } = await left(ref, ["out/*", "nothing/*"], false);
        expect(Object.keys(files).sort()).toEqual(["out/a.csv", "out/c.txt"]);
        expect(refused).toEqual([["nothing/*", "no_match"]]);
      });

      it("of an unknown reference, and of an attempt that was cleaned up, are gone", async () => {
        const [ref] = await run({ act: "leave", files: LEFT });
        await adapter.cleanup(ref);
        for (const one of [ref, "unknown"]) {
          expect(await left(one, ["out/*"])).toEqual({ files: {}, refused: [["out/*", "gone"]] });
        }
      });

      it("of another home are not handed over", async () => {
        const other = await another(foreign);
        const ref = await other.submit(launch({ act: "leave", files: LEFT }), never());
        await other.wait(ref, never());
        expect((await left(ref, ["out/*"])).files).toEqual({});
        await other.cleanup(ref);
      });
    });

    describe("submit and exit", () => {
      it("runs a command to its end", async () => {
        const [ref, status] = await run(print(["hello"]));
        expect(status).toMatchObject({ phase: "exited", exitCode: 0, oom: false, failure: null });
        expect(Date.parse(status.finishedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(status.startedAt ?? ""));
        expect(await adapter.status(ref)).toEqual(status);
      });

      it("gives the command's own exit code", async () => {
        const [, status] = await run(print([], 3));
        expect(status).toMatchObject({ phase: "exited", exitCode: 3, failure: null });
      });

      it("gives 128 + N when signal N ended the command", async () => {
        // The first process of a container may be deaf to its own signals: then the inner shell's death counts.
        const [, status] = await run(shell("sh -c 'kill -KILL $$'; code=$?; kill -KILL $$; exit $code"));
        expect(status).toMatchObject({ phase: "exited", exitCode: 137, oom: false, failure: null });
      });

      it("hands over the environment exactly", async () => {
        const env = {
          EMPTY: "",
          EQUALS: "a=b==c=",
          LINES: "one\ntwo\n\nthree\n",
          QUOTES: `'"\`$HOME \\ $(id) %s *`,
          UNICODE: "ünï ☃ 💾",
          lower_case: " leading and trailing ",
        };
        const names = Object.keys(env);
        const script = names.map((key) => `printf %s "$${key}" | base64 | tr -d '\\n'; echo`).join("\n");
        const [ref] = await run(shell(script), { env });
        const values = texts(await readLines(adapter, ref)).map((text) => Buffer.from(text, "base64").toString());
        expect(Object.fromEntries(names.map((key, index) => [key, values[index]]))).toEqual(env);
      });

      it("hands over the arguments exactly", async () => {
        const args = ["a b", "", "$HOME", "*", "ü\n2", "--flag=x", "'\""];
        const script = `for a in "$@"; do printf %s "$a" | base64 | tr -d '\\n'; echo; done`;
        const [ref] = await run(shell(script, args));
        const values = texts(await readLines(adapter, ref)).map((text) => Buffer.from(text, "base64").toString());
        expect(values).toEqual(args);
      });

      it("refuses a command that cannot be started, and cleanup leaves nothing of it", async () => {
        const one = launch(print([]), { spec: { command: ["/no/such/command"] } });
        const error = await adapter.submit(one, never()).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(LongshoreError);
        expect((error as LongshoreError).code).toBe("USER_CODE");
        expect((error as LongshoreError).message).toContain("/no/such/command");
        const ref = await adapter.find(one.externalName);
        if (ref !== undefined) {
          expect((await adapter.status(ref)).phase).not.toBe("running");
          await adapter.cleanup(ref);
        }
        expect(await adapter.find(one.externalName)).toBeUndefined();
      });
    });

    describe("one start per attempt", () => {
      it("adopts what an earlier submit started", async () => {
        const one = launch(shell(`${ONE_START}\n${"trap 'exit 0' TERM\necho ready\nsleep 1000 & wait"}`));
        const first = await adapter.submit(one, never());
        await untilLine(adapter, first, "ready");
        expect(await adapter.submit(one, never())).toBe(first);
        expect((await adapter.status(first)).phase).toBe("running");
        await adapter.cancel(first, 5);
        expect(texts(await readLines(adapter, first)).filter((text) => text !== "ready")).toHaveLength(1);
      });

      it("adopts while it runs", async () => {
        const one = launch(sleeper);
        const first = await adapter.submit(one, never());
        await untilLine(adapter, first, "ready");
        expect(await adapter.submit(one, never())).toBe(first);
        expect((await adapter.status(first)).phase).toBe("running");
        expect(texts(await readLines(adapter, first))).toEqual(["ready"]);
      });

      it("starts nothing, and leaves nothing, when it is not confirmed", async () => {
        const refusal = new Error("contract: the attempt has ended");
        const one = launch(sleeper, { confirm: () => Promise.reject(refusal) });
        await expect(adapter.submit(one, never())).rejects.toThrow();
        expect(await adapter.find(one.externalName)).toBeUndefined();
        expect(await harness.leftovers(own)).toEqual([]);
      });

      it("asks for the confirmation before anything of the command runs", async () => {
        const phases: (string | undefined)[] = [];
        const one = launch(print(["once"]), {
          confirm: async () => {
            const ref = await adapter.find(one.externalName);
            phases.push(ref && (await adapter.status(ref)).phase);
          },
        });
        await adapter.submit(one, never());
        // Where making it and starting it are one call, nothing is there yet. It may be made, and asked for, anew.
        expect(phases).not.toEqual([]);
        for (const phase of phases) expect([undefined, "created"]).toContain(phase);
      });

      it("does not ask again, or start again, what another launch has started", async () => {
        const one = launch(sleeper);
        const first = await adapter.submit(one, never());
        const confirm = (): Promise<void> => Promise.reject(new Error("contract: asked for what runs"));
        expect(await adapter.submit({ ...one, confirm }, never())).toBe(first);
      });

      it("does not start what was removed after it was made, unless that is confirmed anew", async () => {
        let asked = 0;
        const one = launch(sleeper, {
          async confirm() {
            asked += 1;
            const ref = await adapter.find(one.externalName);
            if (asked > 1 || ref === undefined) throw new Error("contract: the attempt has ended");
            await adapter.cleanup(ref);
          },
        });
        await expect(adapter.submit(one, never())).rejects.toThrow();
        expect(await adapter.find(one.externalName)).toBeUndefined();
        expect(await harness.leftovers(own)).toEqual([]);
      });

      it("adopts what has already ended", async () => {
        const one = launch(print(["once"], 4));
        const first = await adapter.submit(one, never());
        const status = await adapter.wait(first, never());
        expect(await adapter.submit(one, never())).toBe(first);
        expect(await adapter.status(first)).toEqual(status);
        expect(texts(await readLines(adapter, first))).toEqual(["once"]);
      });

      it("starts once however many submit at the same time", async () => {
        const one = launch(shell(ONE_START));
        const refs = await Promise.all(Array.from({ length: 8 }, () => adapter.submit(one, never())));
        expect(new Set(refs).size).toBe(1);
        const status = await adapter.wait(refs[0]!, never());
        expect(status).toMatchObject({ phase: "exited", exitCode: 0 });
        expect(texts(await readLines(adapter, refs[0]!))).toHaveLength(1);
        expect(await owned(adapter)).toHaveLength(1);
      });

      it("starts once when two processes of one home submit at the same time", async () => {
        const second = await another(own);
        const one = launch(shell(ONE_START));
        const refs = await Promise.all([adapter, second, adapter, second].map((from) => from.submit(one, never())));
        expect(new Set(refs).size).toBe(1);
        await adapter.wait(refs[0]!, never());
        expect(texts(await readLines(second, refs[0]!))).toHaveLength(1);
      });

      it("never adopts the same name of another job", async () => {
        const first = launch(sleeper);
        const ref = await adapter.submit(first, never());
        const second = launch(sleeper, { jobId: mintJobId(Date.now()), externalName: first.externalName });
        await expect(adapter.submit(second, never())).rejects.toBeInstanceOf(LongshoreError);
        expect((await adapter.status(ref)).phase).toBe("running");
      });

      it("never adopts the same name of another home", async () => {
        const one = launch(sleeper);
        const ref = await adapter.submit(one, never());
        const other = await another(foreign);
        await expect(other.submit(one, never())).rejects.toBeInstanceOf(LongshoreError);
        expect((await adapter.status(ref)).phase).toBe("running");
        expect(await adapter.find(one.externalName)).toBe(ref);
      });

      it("keeps the attempts of one job apart", async () => {
        const first = launch(print(["first"]));
        const second = launch(print(["second"]), { jobId: first.jobId, attempt: 2 });
        const refs = [await adapter.submit(first, never()), await adapter.submit(second, never())];
        for (const ref of refs) await adapter.wait(ref, never());
        expect(texts(await readLines(adapter, refs[0]!))).toEqual(["first"]);
        expect(texts(await readLines(adapter, refs[1]!))).toEqual(["second"]);
      });
    });

    describe("submit aborted", () => {
      it("starts nothing when the signal had aborted before", async () => {
        const one = launch(sleeper);
        const reason = new Error("changed my mind");
        await expect(adapter.submit(one, AbortSignal.abort(reason))).rejects.toBe(reason);
        expect(await adapter.find(one.externalName)).toBeUndefined();
      });

      it("leaves nothing that cleanup by name does not find when it aborts on the way", async () => {
        const controller = new AbortController();
        const reason = new Error("changed my mind");
        const one = launch(sleeper);
        const submitted = adapter.submit(one, controller.signal);
        controller.abort(reason);
        const outcome = await submitted.then(
          () => "started",
          (error: unknown) => error,
        );
        if (outcome !== "started") expect(outcome).toBe(reason);
        const ref = await adapter.find(one.externalName);
        if (ref !== undefined) await adapter.cleanup(ref);
        expect(await adapter.find(one.externalName)).toBeUndefined();
        expect(await harness.leftovers(own)).toEqual([]);
      });
    });

    describe("usage", () => {
      it("tells what a running attempt uses, which only grows, and of no other", async () => {
        const busy = await start(sleeper);
        await untilLine(adapter, busy, "ready");
        const [ended] = await run(print(["over"]));
        const first = await adapter.usage?.([busy, ended, "unknown", ""], never());
        expect([...(first?.keys() ?? [])]).toEqual([busy]);
        const second = await adapter.usage?.([busy], never());
        for (const [name, value] of Object.entries(first?.get(busy) ?? { none: -1 })) {
          expect(value ?? 0, name).toBeGreaterThanOrEqual(0);
          const later = second?.get(busy)?.[name as keyof RuntimeUsage];
          expect(later === null, name).toBe(value === null);
          if (!name.startsWith("memory")) expect(later ?? 0, name).toBeGreaterThanOrEqual(value ?? 0);
        }
        await adapter.cancel(busy, 0);
        expect(await adapter.usage?.([busy], never())).toEqual(new Map());
      });

      it("counts CPU time in seconds and memory in bytes", async () => {
        const ref = await start(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; exec sleep 1000"));
        await untilLine(adapter, ref, "done");
        const used = (await adapter.usage?.([ref], never()))?.get(ref);
        // It took some hundredths of a second at least; hours would be another unit.
        expect(used?.cpuSeconds).toBeGreaterThan(0.01);
        expect(used?.cpuSeconds).toBeLessThan(60);
        expect(used?.memoryBytes).toBeGreaterThan(50_000);
        expect(used?.memoryBytes).toBeLessThan(200_000_000);
      });

      it("is told to the home's own only", async () => {
        const ref = await start(sleeper);
        await untilLine(adapter, ref, "ready");
        const other = await another(foreign);
        expect(await other.usage?.([ref], never())).toEqual(new Map());
        await adapter.cancel(ref, 0);
      });
    });

    describe("unknown references", () => {
      it("answers for a reference that it never gave", async () => {
        const ref = "longshore-0000000000-never-a1";
        expect(await adapter.status(ref)).toEqual(UNKNOWN);
        expect(await adapter.wait(ref, never())).toEqual(UNKNOWN);
        expect(await adapter.cancel(ref, 1)).toBe(false);
        expect(await readLines(adapter, ref)).toEqual([]);
        expect(await readLines(adapter, ref, { follow: true })).toEqual([]);
        await adapter.cleanup(ref);
        expect(await adapter.find(ref)).toBeUndefined();
      });

      it("answers for a reference that is none", async () => {
        for (const ref of ["", "..", "../../etc", "/", "a/b", "x".repeat(5000), "nul\0l"]) {
          expect(await adapter.status(ref)).toEqual(UNKNOWN);
          expect(await adapter.cancel(ref, 0)).toBe(false);
          expect(await readLines(adapter, ref)).toEqual([]);
          await adapter.cleanup(ref);
          expect(await adapter.find(ref)).toBeUndefined();
        }
      });
    });

    describe("cancel", () => {
      it("asks the command to end and lets it", async () => {
        const ref = await start(sleeper);
        await untilLine(adapter, ref, "ready");
        expect(await adapter.cancel(ref, 20)).toBe(true);
        expect(await adapter.status(ref)).toMatchObject({ phase: "exited", exitCode: 0 });
        expect(texts(await readLines(adapter, ref))).toEqual(["ready", "bye"]);
      });

      it("kills the command that does not listen, after the grace", async () => {
        const ref = await start(stubborn);
        await untilLine(adapter, ref, "ready");
        expect(await adapter.cancel(ref, 1)).toBe(true);
        expect(await adapter.status(ref)).toMatchObject({ phase: "exited", exitCode: 137, oom: false });
      });

      it("kills at once without a grace", async () => {
        const ref = await start(stubborn);
        await untilLine(adapter, ref, "ready");
        expect(await adapter.cancel(ref, 0)).toBe(true);
        expect(await adapter.status(ref)).toMatchObject({ phase: "exited", exitCode: 137 });
      });

      it("may be asked twice", async () => {
        const ref = await start(sleeper);
        await untilLine(adapter, ref, "ready");
        const answers = await Promise.all([adapter.cancel(ref, 20), adapter.cancel(ref, 20)]);
        expect(answers).toContain(true);
        expect(await adapter.status(ref)).toMatchObject({ phase: "exited", exitCode: 0 });
        expect(await adapter.cancel(ref, 20)).toBe(false);
      });

      it("is false for a job that had ended, and changes nothing", async () => {
        const [ref, status] = await run(print([], 5));
        expect(await adapter.cancel(ref, 1)).toBe(false);
        expect(await adapter.status(ref)).toEqual(status);
      });

      it("reaches a job right after its start", async () => {
        const ref = await start(stubborn);
        expect(await adapter.cancel(ref, 0)).toBe(true);
        expect((await adapter.status(ref)).phase).toBe("exited");
      });
    });

    describe("wait", () => {
      it("resolves for everyone who waits, before the end and after it", async () => {
        const ref = await start(sleeper);
        await untilLine(adapter, ref, "ready");
        const waits = Array.from({ length: 10 }, () => adapter.wait(ref, never()));
        await adapter.cancel(ref, 20);
        const status = await adapter.status(ref);
        for (const one of await Promise.all(waits)) expect(one).toEqual(status);
        expect(await adapter.wait(ref, never())).toEqual(status);
      });

      it("rejects with the signal's reason and leaves the job alone", async () => {
        const ref = await start(sleeper);
        const controller = new AbortController();
        const reason = new Error("no longer interested");
        const waiting = adapter.wait(ref, controller.signal);
        controller.abort(reason);
        await expect(waiting).rejects.toBe(reason);
        await expect(adapter.wait(ref, AbortSignal.abort(reason))).rejects.toBe(reason);
        expect((await adapter.status(ref)).phase).toBe("running");
      });

      it("does not hang when the attempt is removed", async () => {
        const ref = await start(stubborn);
        await untilLine(adapter, ref, "ready");
        const waiting = adapter.wait(ref, never());
        await adapter.cleanup(ref);
        expect((await waiting).phase).toMatch(/^(exited|unknown)$/);
      });
    });

    describe("logs", () => {
      it("keeps the order of each stream and numbers without gaps", async () => {
        const [ref] = await run(shell("i=0; while [ $i -lt 300 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"));
        const lines = await readLines(adapter, ref);
        expect(texts(lines, "stdout")).toEqual(Array.from({ length: 300 }, (_, index) => `o${index}`));
        expect(texts(lines, "stderr")).toEqual(Array.from({ length: 300 }, (_, index) => `e${index}`));
        expect(lines.map((line) => line.n)).toEqual(lines.map((_, index) => index + 1));
        for (const line of lines) expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(await readLines(adapter, ref)).toEqual(lines);
        expect(await readLines(adapter, ref, { after: 590 })).toEqual(lines.slice(590));
        expect(await readLines(adapter, ref, { after: 590, follow: true })).toEqual(lines.slice(590));
        expect(await readLines(adapter, ref, { after: 10_000 })).toEqual([]);
      });

      it("tells the streams apart", async () => {
        const [ref] = await run({
          act: "print",
          lines: [
            { stream: "stdout", text: "out" },
            { stream: "stderr", text: "err" },
          ],
          exitCode: 0,
        });
        const lines = await readLines(adapter, ref);
        expect(texts(lines, "stdout")).toEqual(["out"]);
        expect(texts(lines, "stderr")).toEqual(["err"]);
      });

      it("follows until the end, and no further", async () => {
        const ref = await start(sleeper);
        const seen: string[] = [];
        for await (const lines of adapter.logs(ref, { follow: true })) {
          seen.push(...lines.map(({ text }) => text));
          if (seen.at(-1) === "ready") await adapter.cancel(ref, 20);
        }
        expect(seen.slice(0, 2)).toEqual(["ready", "bye"]);
        expect((await adapter.status(ref)).phase).toBe("exited");
      });

      it("gives what is there now when it does not follow", async () => {
        const ref = await start(sleeper);
        await untilLine(adapter, ref, "ready");
        expect(texts(await readLines(adapter, ref))).toEqual(["ready"]);
        expect((await adapter.status(ref)).phase).toBe("running");
      });

      it("lets a follower go", async () => {
        const ref = await start(sleeper);
        const controller = new AbortController();
        const reason = new Error("seen enough");
        const seen: string[] = [];
        const following = (async () => {
          for await (const lines of adapter.logs(ref, { follow: true, signal: controller.signal })) {
            seen.push(...lines.map(({ text }) => text));
            if (seen.at(-1) === "ready") controller.abort(reason);
          }
        })();
        // An ended reading and the signal's reason are both an answer; going on is none.
        await following.catch((error: unknown) => expect(error).toBe(reason));
        expect(seen).toEqual(["ready"]);
        expect((await adapter.status(ref)).phase).toBe("running");
      });

      it("serves several followers alike", async () => {
        const ref = await start(sleeper);
        const readers = Array.from({ length: 3 }, () => readLines(adapter, ref, { follow: true }));
        await untilLine(adapter, ref, "ready");
        await adapter.cancel(ref, 20);
        const [first, ...others] = await Promise.all(readers);
        expect(texts(first ?? [])).toEqual(["ready", "bye"]);
        for (const other of others) expect(other).toEqual(first);
      });

      it("counts the last line without a newline", async () => {
        const [ref] = await run(shell("printf 'one\\ntwo'; printf err >&2"));
        const lines = await readLines(adapter, ref);
        expect(texts(lines, "stdout")).toEqual(["one", "two"]);
        expect(texts(lines, "stderr")).toEqual(["err"]);
      });

      it("keeps empty lines and gives no line for no output", async () => {
        const [loud] = await run(shell("echo; echo a; echo; echo"));
        expect(texts(await readLines(adapter, loud))).toEqual(["", "a", "", ""]);
        const [quiet] = await run(print([]));
        expect(await readLines(adapter, quiet)).toEqual([]);
        expect(await readLines(adapter, quiet, { follow: true })).toEqual([]);
      });

      it("replaces what is no UTF-8 and joins what was written in pieces", async () => {
        const [ref] = await run(shell("printf 'a\\377b\\n'; printf '\\303'; sleep 0.1; printf '\\251\\n'"));
        expect(texts(await readLines(adapter, ref))).toEqual(["a\uFFFDb", "é"]);
      });

      it("keeps every byte of a line longer than 1 MiB", async () => {
        const size = 1024 * 1024 + 5;
        const [ref] = await run(shell(`head -c ${size} /dev/zero | tr '\\0' x; echo; echo end`));
        const lines = texts(await readLines(adapter, ref));
        expect(lines.at(-1)).toBe("end");
        const long = lines.slice(0, -1).join("");
        expect(long.length).toBe(size);
        expect(/^x+$/.test(long)).toBe(true);
      });
    });

    describe("find and list", () => {
      it("finds by name and lists with the facts", async () => {
        const one = launch(sleeper, { attempt: 3 });
        const ref = await adapter.submit(one, never());
        expect(await adapter.find(one.externalName)).toBe(ref);
        expect(await adapter.find(`${one.externalName}0`)).toBeUndefined();
        const [entry, ...others] = await owned(adapter);
        expect(others).toEqual([]);
        expect(entry).toMatchObject({ ref, externalName: one.externalName, jobId: one.jobId, attempt: 3, kept: false });
        expect(entry?.status.phase).toBe("running");
      });

      it("tells what is kept on purpose", async () => {
        const cases = [
          { cleanup: "never", exitCode: 0, kept: true },
          { cleanup: "onSuccess", exitCode: 1, kept: true },
          { cleanup: "onSuccess", exitCode: 0, kept: false },
          { cleanup: "always", exitCode: 1, kept: false },
        ] as const;
        for (const { cleanup, exitCode, kept } of cases) {
          const one = launch(print([], exitCode), { spec: { cleanup } });
          await adapter.wait(await adapter.submit(one, never()), never());
          const entry = (await owned(adapter)).find((item) => item.externalName === one.externalName);
          expect({ cleanup, exitCode, kept: entry?.kept }).toEqual({ cleanup, exitCode, kept });
        }
      });

      it("sees only its own home", async () => {
        const other = await another(foreign);
        const mine = launch(sleeper);
        const theirs = launch(sleeper);
        const ref = await adapter.submit(mine, never());
        const theirRef = await other.submit(theirs, never());
        expect((await owned(adapter)).map((one) => one.externalName)).toEqual([mine.externalName]);
        expect((await owned(other)).map((one) => one.externalName)).toEqual([theirs.externalName]);
        expect(await adapter.find(theirs.externalName)).toBeUndefined();
        expect(await other.find(mine.externalName)).toBeUndefined();
        expect(await adapter.status(theirRef)).toEqual(UNKNOWN);
        expect(await adapter.cancel(theirRef, 0)).toBe(false);
        await adapter.cleanup(theirRef);
        expect((await other.status(theirRef)).phase).toBe("running");
        expect((await adapter.status(ref)).phase).toBe("running");
      });
    });

    describe("cleanup", () => {
      it("removes every trace, as often as it is asked", async () => {
        const one = launch(print(["gone"]));
        const ref = await adapter.submit(one, never());
        await adapter.wait(ref, never());
        await Promise.all([adapter.cleanup(ref), adapter.cleanup(ref)]);
        await adapter.cleanup(ref);
        expect(await adapter.status(ref)).toEqual(UNKNOWN);
        expect(await adapter.wait(ref, never())).toEqual(UNKNOWN);
        expect(await adapter.cancel(ref, 1)).toBe(false);
        expect(await readLines(adapter, ref, { follow: true })).toEqual([]);
        expect(await adapter.find(one.externalName)).toBeUndefined();
        expect(await owned(adapter)).toEqual([]);
        expect(await harness.leftovers(own)).toEqual([]);
      });

      it("ends what still runs", async () => {
        const ref = await start(stubborn);
        await untilLine(adapter, ref, "ready");
        await adapter.cleanup(ref);
        expect(await adapter.status(ref)).toEqual(UNKNOWN);
        expect(await harness.leftovers(own)).toEqual([]);
      });
    });

    describe("health and the adapter's own end", () => {
      it("is well", async () => {
        const health = await adapter.health();
        expect(health.ok).toBe(true);
        expect(health.message).not.toBe("");
      });

      it("gives a successor of the same home everything again", async () => {
        const first = await another(own);
        const running = launch(sleeper);
        const ended = launch(print(["before"], 6));
        const runningRef = await first.submit(running, never());
        const endedRef = await first.submit(ended, never());
        const endedStatus = await first.wait(endedRef, never());
        await untilLine(first, runningRef, "ready");
        await first.dispose();
        await first.dispose();

        const second = await another(own);
        expect(await second.find(running.externalName)).toBe(runningRef);
        expect(await second.submit(running, never())).toBe(runningRef);
        expect(await second.status(endedRef)).toEqual(endedStatus);
        expect(texts(await readLines(second, endedRef))).toEqual(["before"]);
        expect((await second.status(runningRef)).phase).toBe("running");
        const waiting = second.wait(runningRef, never());
        expect(await second.cancel(runningRef, 20)).toBe(true);
        expect(await waiting).toMatchObject({ phase: "exited", exitCode: 0 });
        expect(texts(await readLines(second, runningRef))).toEqual(["ready", "bye"]);
      });

      it("settles who still waits when it is disposed of, and answers or refuses later calls", async () => {
        const one = await another(own);
        const ref = await one.submit(launch(sleeper), never());
        await untilLine(one, ref, "ready");
        const settled = Promise.allSettled([one.wait(ref, never()), readLines(one, ref, { follow: true })]);
        await one.dispose();
        for (const outcome of await settled) {
          if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(LongshoreError);
        }
        const later = await one.status(ref).then(
          (status) => status.phase,
          (error: unknown) => (error instanceof LongshoreError ? "refused" : error),
        );
        expect(["running", "refused"]).toContain(later);
        await one.dispose();
      });
    });
  });
}

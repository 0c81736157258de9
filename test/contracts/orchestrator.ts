import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JobId } from "../../engine/ids.ts";
import type { ExecutionInput, Orchestrator } from "../../engine/ports/orchestrator.ts";

export interface RunPayload extends ExecutionInput {
  token: string;
}

export interface FinalizePayload {
  step: "finalize" | "delay" | "requeue";
  input: ExecutionInput & { failure?: { Error: string } };
}

/** What stands behind the lifecycle's functions in a test. */
export interface LifecycleHandlers {
  dispatch(payload: RunPayload): Promise<unknown>;
  finalize(payload: FinalizePayload): Promise<unknown>;
}

export interface OrchestratorUnderTest {
  orchestrator: Orchestrator;
  /** Resolves with the states that an execution went through, when it has ended. */
  ended(name: string): Promise<string[]>;
  /** Lets time pass, with everything that becomes due in it; where time is real, nothing: see `Limits`. */
  pass(seconds: number): Promise<void>;
  end(): Promise<void>;
}

/** What a counterpart of an orchestrator cannot do, each with why: the tests that need it are left out. */
export interface Limits {
  /** Its time cannot be let pass; other tests wait for what comes. */
  realTime?: string;
  /** It does not take a token before the function that got it has answered. */
  noEarlyToken?: string;
}

const JOB = "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as JobId;
export const executionInput = (patch: Partial<ExecutionInput> = {}): ExecutionInput => ({
  jobId: JOB,
  attempt: 1,
  generation: 0,
  runSeconds: 100,
  ...patch,
});
/** What *Finalize* answers at a job's end. */
export const NO_RETRY = null;

/** A handler of *Finalize* and *Delay* for an attempt that is followed by another one after so many seconds. */
export async function retryAfter(delaySeconds: number, { step }: FinalizePayload): Promise<{ delaySeconds: number }> {
  if (step === "delay") return { delaySeconds };
  throw Object.assign(new Error("another attempt is due"), { name: "RetryDue" });
}

/** Handlers that do nothing and remember their calls; each may be replaced. */
export function recordingHandlers() {
  const dispatched: RunPayload[] = [];
  const finalized: FinalizePayload[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  return {
    dispatched,
    finalized,
    onDispatch: async (_payload: RunPayload): Promise<unknown> => null,
    onFinalize: async (_payload: FinalizePayload): Promise<unknown> => NO_RETRY,
    /** Resolves when dispatch has been called so often. */
    async dispatches(count: number): Promise<RunPayload> {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (dispatched.length < count) {
        waiting.push({ count, resolve });
        await promise;
      }
      return dispatched[count - 1] as RunPayload;
    },
    dispatch(payload: RunPayload): Promise<unknown> {
      dispatched.push(payload);
      for (const { count, resolve } of waiting) if (dispatched.length >= count) resolve();
      return this.onDispatch(payload);
    },
    finalize(payload: FinalizePayload): Promise<unknown> {
      finalized.push(payload);
      return this.onFinalize(payload);
    },
  };
}

/** What every orchestrator must do with the lifecycle. `make` gives one whose functions are these handlers. */
export function orchestratorContract(
  name: string,
  make: (handlers: LifecycleHandlers) => Promise<OrchestratorUnderTest>,
  { realTime, noEarlyToken }: Limits = {},
): void {
  type Register = (title: string, test: () => Promise<void>) => void;
  const unless =
    (skipReason: string | undefined): Register =>
    (title, test) => {
      if (skipReason === undefined) it(title, test);
      else it(title, { skip: true, meta: { skipReason } }, test);
    };
  /** A test that lets time pass. */
  const timed = unless(realTime);
  /** A test that completes a token inside the dispatch. */
  const early = unless(noEarlyToken);
  describe(`orchestrator contract: ${name}`, () => {
    let handlers: ReturnType<typeof recordingHandlers>;
    let under: OrchestratorUnderTest;
    beforeEach(async () => {
      handlers = recordingHandlers();
      under = await make({
        dispatch: (payload) => handlers.dispatch(payload),
        finalize: (payload) => handlers.finalize(payload),
      });
    });
    afterEach(() => under.end());

    /** Starts an execution and brings it to where it waits for its token. */
    async function started(execution = "e", input = executionInput()): Promise<RunPayload> {
      expect(await under.orchestrator.start(execution, input)).toBe("started");
      return await handlers.dispatches(1);
    }

    it("runs a happy life in two states", async () => {
      const { token } = await started();
      expect(await under.orchestrator.complete(token)).toBe(true);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized).toEqual([{ step: "finalize", input: executionInput() }]);
    });

    it("hands over ids, bounds and a token, and nothing else", async () => {
      const payload = await started("e", executionInput({ attempt: 7, runSeconds: 42 }));
      expect(payload).toEqual({
        jobId: JOB,
        attempt: 7,
        generation: 0,
        runSeconds: 42,
        token: expect.stringMatching(/./),
      });
    });

    it("gives every execution a token of its own", async () => {
      await started("a");
      await under.orchestrator.start("b", executionInput());
      await handlers.dispatches(2);
      const [a, b] = handlers.dispatched.map(({ token }) => token);
      expect(a).not.toBe(b);
      await under.orchestrator.complete(a ?? "");
      expect(await under.ended("a")).toHaveLength(2);
      expect(await under.orchestrator.isRunning("b")).toBe(true);
    });

    it("starts a name once, also when it has ended", async () => {
      const { token } = await started();
      expect(await under.orchestrator.start("e", executionInput())).toBe("exists");
      await under.orchestrator.complete(token);
      await under.ended("e");
      expect(await under.orchestrator.start("e", executionInput())).toBe("exists");
      expect(handlers.dispatched).toHaveLength(1);
    });

    it("starts one of twenty under one name at once", async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => under.orchestrator.start("e", executionInput())),
      );
      expect(answers.filter((answer) => answer === "started")).toHaveLength(1);
      await handlers.dispatches(1);
      expect(handlers.dispatched).toHaveLength(1);
    });

    it("tells what runs", async () => {
      expect(await under.orchestrator.isRunning("e")).toBe(false);
      const { token } = await started();
      expect(await under.orchestrator.isRunning("e")).toBe(true);
      await under.orchestrator.complete(token);
      await under.ended("e");
      expect(await under.orchestrator.isRunning("e")).toBe(false);
    });

    it("completes a token once, and none that it does not know", async () => {
      const { token } = await started();
      expect(await under.orchestrator.complete("nobody's")).toBe(false);
      expect(await under.orchestrator.complete("")).toBe(false);
      expect(handlers.finalized).toEqual([]);
      await under.orchestrator.complete(token);
      await under.ended("e");
      expect(await under.orchestrator.complete(token)).toBe(false);
      expect(handlers.finalized).toHaveLength(1);
    });

    early("goes on when the token is completed inside the dispatch itself", async () => {
      handlers.onDispatch = async ({ token }) => expect(await under.orchestrator.complete(token)).toBe(true);
      await under.orchestrator.start("e", executionInput());
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
    });

    timed("does not go on when the dispatch has ended, only when its token is completed", async () => {
      const { token } = await started();
      await under.pass(50);
      expect(handlers.finalized).toEqual([]);
      await under.orchestrator.complete(token);
      await under.ended("e");
    });

    it("tries a failed dispatch again, and takes the token of the new try", async () => {
      let fails = 2;
      handlers.onDispatch = async () => {
        if (fails-- > 0) throw new Error("the table is away");
      };
      await under.orchestrator.start("e", executionInput());
      await under.pass(10);
      const { token } = await handlers.dispatches(3);
      expect(await under.orchestrator.complete(token)).toBe(true);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized[0]?.input).not.toHaveProperty("failure");
    });

    timed("tries a dispatch in doubt again for as long as it takes, every half minute in the end", async () => {
      const { promise: isBack, resolve: comeBack } = Promise.withResolvers<void>();
      let away = true;
      handlers.onDispatch = async () => {
        if (away) throw Object.assign(new Error("the runtime is away"), { name: "AttemptInDoubt" });
        comeBack();
      };
      await under.orchestrator.start("e", executionInput());
      // Two hours, and longer than the run itself may take.
      await under.pass(7200);
      expect(handlers.dispatched.length).toBeGreaterThan(200);
      expect(handlers.dispatched.length).toBeLessThan(260);
      expect(handlers.finalized).toEqual([]);
      away = false;
      await under.pass(30);
      await isBack;
      expect(await under.orchestrator.complete(handlers.dispatched.at(-1)?.token ?? "")).toBe(true);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized[0]?.input).not.toHaveProperty("failure");
    });

    timed("finalizes what could not be dispatched, and says why", async () => {
      handlers.onDispatch = async () => {
        throw new TypeError("never");
      };
      await under.orchestrator.start("e", executionInput());
      await under.pass(60);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.dispatched).toHaveLength(5);
      expect(handlers.finalized).toEqual([
        { step: "finalize", input: { ...executionInput(), failure: expect.objectContaining({ Error: "TypeError" }) } },
      ]);
    });

    timed("finalizes a run that took too long, once, as a timeout", async () => {
      const { token } = await started("e", executionInput({ runSeconds: 30 }));
      await under.pass(29);
      expect(handlers.finalized).toEqual([]);
      await under.pass(2);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized[0]?.input.failure).toMatchObject({ Error: "States.Timeout" });
      expect(handlers.dispatched).toHaveLength(1);
      expect(await under.orchestrator.complete(token)).toBe(false);
    });

    timed("knows no token of a run that was given up, while it is being finalized", async () => {
      const finalizing = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      handlers.onFinalize = async () => {
        finalizing.resolve();
        await goOn.promise;
        return NO_RETRY;
      };
      const { token } = await started("e", executionInput({ runSeconds: 30 }));
      await under.pass(31);
      await finalizing.promise;
      expect(await under.orchestrator.complete(token)).toBe(false);
      goOn.resolve();
      await under.ended("e");
    });

    timed("bounds a dispatch that takes too long, too", async () => {
      const dispatch = Promise.withResolvers<null>();
      handlers.onDispatch = () => dispatch.promise;
      await started("e", executionInput({ runSeconds: 30 }));
      await under.pass(31);
      await under.ended("e");
      expect(handlers.finalized[0]?.input.failure).toMatchObject({ Error: "States.Timeout" });
      dispatch.resolve(null);
    });

    timed("runs as long as the longest job may", async () => {
      const { token } = await started("e", executionInput({ runSeconds: 2_003_600 }));
      await under.pass(2_003_000);
      expect(handlers.finalized).toEqual([]);
      await under.orchestrator.complete(token);
      expect(await under.ended("e")).toHaveLength(2);
    });

    timed("tries a failed finalize again until it works", async () => {
      let fails = 5;
      handlers.onFinalize = async () => {
        if (fails-- > 0) throw new Error("the container has not stopped yet");
        return NO_RETRY;
      };
      const { token } = await started();
      await under.orchestrator.complete(token);
      await under.pass(120);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized).toHaveLength(6);
    });

    timed("ends when finalize fails for good: the reconciler takes over", async () => {
      handlers.onFinalize = async () => {
        throw new Error("never");
      };
      const { token } = await started();
      await under.orchestrator.complete(token);
      await under.pass(3600);
      expect(await under.ended("e")).toEqual(["Run", "Finalize"]);
      expect(handlers.finalized).toHaveLength(21);
      expect(await under.orchestrator.isRunning("e")).toBe(false);
    });

    const requeues = async (delaySeconds: number, before: (seconds: number) => Promise<void>): Promise<void> => {
      handlers.onFinalize = async (payload) => (payload.step === "requeue" ? null : retryAfter(delaySeconds, payload));
      const { token } = await started();
      await under.orchestrator.complete(token);
      await before(delaySeconds - 0.5);
      await under.pass(1);
      expect(await under.ended("e")).toEqual(["Run", "Finalize", "Delay", "Backoff", "Requeue"]);
      expect(handlers.finalized.map(({ step, input }) => [step, input.jobId, input.attempt])).toEqual([
        ["finalize", JOB, 1],
        ["delay", JOB, 1],
        ["requeue", JOB, 1],
      ]);
    };
    it.each([0, 1])("requeues after %i s", (delaySeconds) => requeues(delaySeconds, async () => undefined));
    for (const delaySeconds of [1, 300]) {
      timed(`does not requeue before ${delaySeconds} s`, () =>
        requeues(delaySeconds, async (seconds) => {
          await under.pass(seconds);
          expect(handlers.finalized.map(({ step }) => step)).toEqual(["finalize", "delay"]);
        }),
      );
    }

    it("tries a failed requeue again", async () => {
      let fails = 2;
      handlers.onFinalize = async (payload) => {
        if (payload.step !== "requeue") return await retryAfter(1, payload);
        if (fails-- > 0) throw new Error("the resource is still there");
        return null;
      };
      const { token } = await started();
      await under.orchestrator.complete(token);
      await under.pass(30);
      expect((await under.ended("e")).at(-1)).toBe("Requeue");
      expect(handlers.finalized.map(({ step }) => step)).toEqual([
        "finalize",
        "delay",
        "requeue",
        "requeue",
        "requeue",
      ]);
    });

    early("runs a hundred executions side by side", async () => {
      handlers.onDispatch = async ({ token }) => void (await under.orchestrator.complete(token));
      const names = Array.from({ length: 100 }, (_, n) => `e${n}`);
      await Promise.all(names.map((execution) => under.orchestrator.start(execution, executionInput())));
      const lives = await Promise.all(names.map((execution) => under.ended(execution)));
      expect(new Set(lives.map((states) => states.join(" ")))).toEqual(new Set(["Run Finalize"]));
    });
  });
}

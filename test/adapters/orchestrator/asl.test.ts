import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AslOrchestrator, createAslOrchestrator } from "../../../adapters/orchestrator/asl.ts";
import {
  executionInput,
  type FinalizePayload,
  type LifecycleHandlers,
  NO_RETRY,
  type OrchestratorUnderTest,
  orchestratorContract,
  type RunPayload,
  recordingHandlers,
  retryAfter,
} from "../../contracts/orchestrator.ts";

const definition = JSON.parse(readFileSync("functions/lifecycle.asl.json", "utf8"));
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: vi.fn() };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function make(handlers: LifecycleHandlers): OrchestratorUnderTest & { orchestrator: AslOrchestrator } {
  const lives = new Map<string, PromiseWithResolvers<string[]>>();
  const lifeOf = (name: string) => {
    const life = lives.get(name) ?? Promise.withResolvers<string[]>();
    lives.set(name, life);
    return life;
  };
  const orchestrator = createAslOrchestrator({
    definition,
    handlers: {
      DispatchFunction: (payload) => handlers.dispatch(payload as RunPayload),
      FinalizeFunction: (payload) => handlers.finalize(payload as FinalizePayload),
    },
    logger: quiet,
    onEnd: (name, states) => lifeOf(name).resolve(states),
  });
  return {
    orchestrator,
    ended: (name) => lifeOf(name).promise,
    pass: async (seconds) => void (await vi.advanceTimersByTimeAsync(seconds * 1000)),
    end: () => orchestrator.close(),
  };
}

orchestratorContract("asl", async (handlers) => make(handlers));

describe("asl: close", () => {
  let handlers: ReturnType<typeof recordingHandlers>;
  let under: ReturnType<typeof make>;
  const unhandled = vi.fn();
  beforeEach(() => {
    handlers = recordingHandlers();
    under = make({
      dispatch: (payload) => handlers.dispatch(payload),
      finalize: (payload) => handlers.finalize(payload),
    });
    unhandled.mockClear();
    process.on("unhandledRejection", unhandled);
  });
  afterEach(async () => {
    // An unhandled rejection is told after the microtasks of the turn in which it happened.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
  const start = async () => {
    await under.orchestrator.start("e", executionInput());
    return await handlers.dispatches(1);
  };

  test("with an execution that waits for its token", async () => {
    const { token } = await start();
    await under.orchestrator.close();
    await under.ended("e");
    expect(await under.orchestrator.complete(token)).toBe(false);
    expect(handlers.finalized).toEqual([]);
  });

  test("with an execution inside its dispatch, which fails afterwards", async () => {
    const dispatch = Promise.withResolvers<null>();
    handlers.onDispatch = () => dispatch.promise;
    await start();
    const closed = vi.fn();
    const closing = under.orchestrator.close().then(closed);
    await under.pass(1);
    // What is at work may write still: the home must not close its table under it.
    expect(closed).not.toHaveBeenCalled();
    dispatch.reject(new Error("shut down"));
    await closing;
    await under.pass(100);
    expect(handlers.dispatched).toHaveLength(1);
    expect(handlers.finalized).toEqual([]);
  });

  test("between two tries of a dispatch", async () => {
    handlers.onDispatch = async () => {
      throw new Error("the table is away");
    };
    await start();
    await vi.advanceTimersByTimeAsync(100);
    await under.orchestrator.close();
    await under.pass(100);
    expect(handlers.dispatched).toHaveLength(1);
    expect(handlers.finalized).toEqual([]);
  });

  test.each(["ends well", "fails"])("with an execution inside its finalize, which %s afterwards", async (how) => {
    const finalizing = Promise.withResolvers<void>();
    const finalize = Promise.withResolvers<unknown>();
    handlers.onFinalize = () => {
      finalizing.resolve();
      return finalize.promise;
    };
    const { token } = await start();
    await under.orchestrator.complete(token);
    await finalizing.promise;
    const closed = vi.fn();
    const closing = under.orchestrator.close().then(closed);
    await under.pass(1);
    expect(closed).not.toHaveBeenCalled();
    if (how === "fails") finalize.reject(new Error("the table is closed"));
    else finalize.resolve(NO_RETRY);
    await closing;
    await under.pass(5_000);
    expect(handlers.finalized).toHaveLength(1);
  });

  test("with an execution between two attempts", async () => {
    handlers.onFinalize = (payload) => retryAfter(60, payload);
    const { token } = await start();
    await under.orchestrator.complete(token);
    await under.pass(30);
    expect(vi.getTimerCount()).toBe(1);
    await under.orchestrator.close();
    await under.pass(100);
    expect(handlers.finalized.map(({ step }) => step)).toEqual(["finalize", "delay"]);
  });

  test("twice, and nothing starts afterwards", async () => {
    await start();
    await Promise.all([under.orchestrator.close(), under.orchestrator.close()]);
    await under.orchestrator.close();
    await expect(under.orchestrator.start("f", executionInput())).rejects.toThrow("closed");
    expect(handlers.dispatched).toHaveLength(1);
  });
});

describe("asl", () => {
  test("is not made of a definition that is none", () => {
    const broken = { StartAt: "Nowhere", States: {} };
    expect(() => createAslOrchestrator({ definition: broken, handlers: {}, logger: quiet })).toThrow();
  });

  test("is not made without a handler for each function", () => {
    const handlers = { DispatchFunction: async () => null };
    expect(() => createAslOrchestrator({ definition, handlers, logger: quiet })).toThrow("names no function");
  });

  test("does not change the definition that it was given", () => {
    const before = structuredClone(definition);
    const handlers = { DispatchFunction: async () => null, FinalizeFunction: async () => NO_RETRY };
    createAslOrchestrator({ definition, handlers, logger: quiet });
    expect(definition).toEqual(before);
  });
});

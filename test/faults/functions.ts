import { createEventbridgeBus } from "../../adapters/bus/eventbridge/index.ts";
import { createStepFunctionsOrchestrator } from "../../adapters/orchestrator/step-functions/index.ts";
import type { EngineContext } from "../../engine/context.ts";
import { asLongshoreError } from "../../engine/errors.ts";
import { type News, observeExit } from "../../engine/operations/observe.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { RuntimeAdapter } from "../../engine/ports/runtime.ts";
import { feed } from "../../functions/aws/feed.ts";
import { invocable, told } from "../../functions/aws/serve.ts";
import { createWork, type Work } from "../../functions/aws/work.ts";
import { makeHandler as changeFeed } from "../../functions/change-feed.ts";
import { makeHandler as dispatch } from "../../functions/dispatch.ts";
import { makeHandler as finalize } from "../../functions/finalize.ts";
import { makeHandler as publish, RECORDED } from "../../functions/publish.ts";
import { makeHandler as reconcile } from "../../functions/reconcile.ts";
import { makeHandler as runtimeEvents } from "../../functions/runtime-events.ts";
import { makeHandler as submit } from "../../functions/submit.ts";
import { type Account, limitsOf } from "./account.ts";
import type { Calls } from "./calls.ts";
import type { VirtualClock } from "./clock.ts";
import type { WatchedRuntime } from "./runtime.ts";
import { MACHINE_ARN, type StepFunctions } from "./step-functions.ts";

/** Where the events of the runtime come from. */
export const RUNTIME_SOURCE = "lab.runtime";

/** The Lambda functions of a home that take part in the life of a job. */
export type FunctionName = keyof typeof HANDLERS;

export interface Surroundings {
  account: Account;
  calls: Calls;
  clock: VirtualClock;
  runtime: WatchedRuntime;
  stepFunctions: () => StepFunctions;
  logger: Logger;
  /** Whether the runtime tells of ends by events; else whoever starts an attempt waits for its end. */
  pushes: boolean;
}

type Handle = (event: unknown, context: unknown) => Promise<unknown> | unknown;

/** As the entries in `functions/aws/entries` make them. */
const HANDLERS = {
  submit: (ctx: EngineContext) => invocable(submit(ctx)),
  "change-feed": (ctx: EngineContext) => feed(ctx.logger, invocable(changeFeed(ctx))),
  publish: (ctx: EngineContext, { account: { bus }, logger }: Surroundings) =>
    feed(
      logger,
      invocable(publish(ctx, { bus: createEventbridgeBus({ bus: bus.name, client: bus.client, logger }) }, RECORDED)),
    ),
  dispatch: (ctx: EngineContext) => invocable(dispatch(ctx)),
  finalize: (ctx: EngineContext) => invocable(finalize(ctx)),
  "runtime-events": (ctx: EngineContext) => {
    const reader = ({ detail }: { detail?: unknown }) => detail as News;
    return invocable(runtimeEvents(ctx, new Map([[RUNTIME_SOURCE, reader]])));
  },
  reconcile: (ctx: EngineContext) => invocable(reconcile(ctx)),
} satisfies Record<string, (ctx: EngineContext, around: Surroundings) => unknown>;

/** The longest that Lambda has, ms. */
const LAMBDA_MS = 900_000;

/**
 * Invokes a function in a process of its own, as `serve` does: it answers when its background work has ended too, and
 * throws what Lambda would be told. Calls that were too slow arrive when it is over.
 */
export async function invoke(around: Surroundings, name: FunctionName, event: unknown): Promise<unknown> {
  const work = createWork(around.logger);
  const { adapter, close } = around.runtime.open();
  work.begin(LAMBDA_MS);
  try {
    return await around.calls.within(name, async () => {
      const ctx = contextOf(around, { name, work, adapter });
      try {
        return await (HANDLERS[name](ctx, around) as Handle)(event, {});
      } finally {
        await work.settled();
      }
    });
  } catch (thrown) {
    throw told(asLongshoreError(thrown));
  } finally {
    work.end();
    await around.calls.arrive();
    await close();
  }
}

/** One process of a function. */
interface Process {
  name: FunctionName;
  work: Work;
  adapter: RuntimeAdapter;
}

/** The engine's context of a process, as `functions/aws/context.ts` composes it. */
export function contextOf(around: Surroundings, { name, work, adapter }: Process): EngineContext {
  const { account, clock, logger, pushes } = around;
  const ctx: EngineContext = {
    home: account.home,
    ledger: { table: account.table, clock: clock.nowMs, limits: limitsOf() },
    objects: account.objects,
    sealer: account.sealer,
    secrets: new Map([[account.secrets.scheme, account.secrets]]),
    orchestrator: createStepFunctionsOrchestrator({
      stateMachineArn: MACHINE_ARN,
      client: around.stepFunctions().client,
    }),
    runtimes: { all: () => [adapter], offered: () => [adapter], get: () => adapter },
    inflight: work.inflight,
    watch(attempt) {
      if (pushes) return;
      work.background(`watch ${attempt.jobId}#${attempt.attempt}`, async () => {
        if (name !== "dispatch") return await observeExit(ctx, attempt);
        const status = await adapter.wait(attempt.externalRef, work.signal());
        await observeExit(ctx, attempt, { status });
      });
    },
    background: work.background,
    clock: clock.nowMs,
    random: () => 0,
    logger,
  };
  return ctx;
}

import { type CircuitNews, type CircuitState, circuitState } from "../circuit.ts";
import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { readCircuit, tellCircuit } from "../ledger/circuit.ts";
import { slotsInUse } from "../ledger/read.ts";
import type { RuntimeAdapter, RuntimeHealth } from "../ports/runtime.ts";
import { admitWaiting } from "./admit.ts";

/** One call that a runtime got: when it was asked, ms since the epoch. */
export interface Asked {
  runtime: string;
  beganMs: number;
}

/**
 * A runtime did not answer a launch. `call` names the launch; `message` is what was said in its place.
 * @returns how the circuit stands with that.
 */
export async function launchUnanswered(
  ctx: EngineContext,
  { runtime, beganMs }: Asked,
  { call, message }: { call: string; message: string },
): Promise<CircuitState> {
  return await tell(ctx, runtime, { type: "SILENT", call, beganMs, message });
}

/** A runtime answered a launch. While it always does, this is one read. */
export async function launchAnswered(ctx: EngineContext, { runtime, beganMs }: Asked): Promise<void> {
  await tell(ctx, runtime, { type: "ANSWERED", to: "launch", beganMs });
}

/**
 * Asks a runtime how it is when its cool-down is over, and admits who waits for it when it is well; else it is left alone
 * for another, longer one. While its circuit is closed it is asked if jobs hold its slots: where they hold all of them no
 * launch would tell that it is away. Done twice at once, or late, it is harmless.
 */
export async function probeCircuit(ctx: EngineContext, runtime: RuntimeAdapter): Promise<void> {
  const beganMs = ctx.clock();
  const state = circuitState(await readCircuit(ctx.ledger, runtime.name), beganMs);
  if (state === "open" || (state === "closed" && (await slotsInUse(ctx.ledger, runtime.name)) === 0)) return;
  const { ok, message } = await askHealth(runtime);
  const news: CircuitNews = ok
    ? { type: "ANSWERED", to: "probe", beganMs }
    : { type: "SILENT", call: `probe@${beganMs}`, beganMs, message };
  await tell(ctx, runtime.name, news);
}

async function askHealth(runtime: RuntimeAdapter): Promise<RuntimeHealth> {
  try {
    return await runtime.health();
  } catch (error) {
    // Not the text of what nobody foresaw: it may hold a path of the server, and is shown to whoever waits.
    return { ok: false, message: error instanceof LongshoreError ? error.message : "the runtime cannot be asked" };
  }
}

async function tell(ctx: EngineContext, runtime: string, news: CircuitNews): Promise<CircuitState> {
  const { before, after } = await tellCircuit(ctx.ledger, runtime, news);
  const now = circuitState(after, ctx.clock());
  if (after === before) return now;
  const { message, coolDownMs } = after;
  if (after.state === "open") {
    ctx.logger.warn({ runtime, message, coolDownMs }, "a runtime does not answer: nothing is admitted for it");
  } else if (before.state === "open") {
    ctx.logger.info({ runtime }, "a runtime answers again");
    ctx.background(`admit ${runtime}`, () => admitWaiting(ctx, runtime));
  }
  return now;
}

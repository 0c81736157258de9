import type { EngineContext } from "../../engine/context.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { LedgerLimits } from "../../engine/ledger/ledger.ts";
import type { BusEntry } from "../../engine/ports/bus.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import { makeHandler as changeFeed } from "../../functions/change-feed.ts";
import { makeHandler as dispatch } from "../../functions/dispatch.ts";
import { makeHandler as finalize } from "../../functions/finalize.ts";
import { makeHandler as publish } from "../../functions/publish.ts";
import { makeHandler as reconcile } from "../../functions/reconcile.ts";
import { createBackground } from "../../local/background.ts";
import { createInflight } from "../../local/inflight.ts";
import { createWatcher } from "../../local/watcher.ts";
import type { ModelBus } from "./bus.ts";
import type { Process } from "./ports.ts";
import { type Outside, portsOf } from "./ports-of.ts";

/** A process of Longshore with all that lives in its memory. */
export interface HomeProcess extends Process {
  ctx: EngineContext;
  functions: Record<"dispatch" | "finalize" | "changeFeed" | "publish" | "reconcile", unknown>;
  /** SIGTERM: lets launches go. */
  shutDown(): void;
  died: PromiseWithResolvers<never>;
}

export interface HomeOptions {
  id: number;
  outside: Outside;
  limits: LedgerLimits;
  bus: ModelBus;
}

/** Composes a home as `local/home.ts` does, on the ports of the model. */
export function bootHome({ id, outside, limits, bus }: HomeOptions): HomeProcess {
  const { sim } = outside;
  const process: Process = { id, dead: false };
  const ports = portsOf(outside, process);
  const inflight = createInflight();
  const watcher = createWatcher();
  const background = createBackground(SILENT);
  const ctx: EngineContext = {
    home: { homeId: "home", createdAt: new Date(sim.nowMs()).toISOString() },
    ledger: { table: ports.table, limits, clock: sim.nowMs },
    objects: ports.objects,
    sealer: ports.sealer,
    secrets: ports.secrets,
    orchestrator: ports.orchestrator,
    runtimes: {
      all: () => ports.runtimes,
      offered: () => ports.runtimes,
      get(name) {
        const found = ports.runtimes.find((one) => one.name === name);
        if (found === undefined) throw new LongshoreError("RUNTIME_UNAVAILABLE", `model: there is no runtime ${name}`);
        return found;
      },
    },
    inflight,
    watch: (attempt) => watcher.watch(ctx, attempt),
    background: background.run,
    clock: sim.nowMs,
    random: sim.random.next,
    logger: SILENT,
  };
  const refuses = () => sim.random.chance(outside.ports.faults.others);
  const publisher = {
    publish: (entries: BusEntry[]) => ports.publish(() => ({ failed: bus.take(entries, refuses) })),
  };
  const died = Promise.withResolvers<never>();
  died.promise.catch(() => undefined);
  const functions = {
    dispatch: dispatch(ctx),
    finalize: finalize(ctx),
    changeFeed: changeFeed(ctx),
    publish: publish(ctx, { bus: publisher }),
    reconcile: reconcile(ctx),
  };
  return Object.assign(process, { ctx, functions, shutDown: () => inflight.shutDown(), died });
}

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

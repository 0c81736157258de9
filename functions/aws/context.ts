import { createDynamodbTable } from "../../adapters/table/dynamodb/index.ts";
import type { EngineContext } from "../../engine/context.ts";
import { LongshoreError } from "../../engine/errors.ts";
import { openHomeRecord } from "../../engine/ledger/home.ts";
import type { Ledger } from "../../engine/ledger/ledger.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";
import { createRuntimes, maxConcurrent, pushesEnds } from "./runtimes.ts";
import type { AwsSettings } from "./settings.ts";
import { hearingCancels, seeToEnd } from "./watch.ts";
import type { Work } from "./work.ts";

const DAY_SECONDS = 24 * 3600;
/** Longer than a container's start from an image that is there; short enough for whoever looks at a pull. */
const PROGRESS_DELAY_MS = 1_000;

/** What every function of a process has. */
export interface Base {
  settings: AwsSettings;
  logger: Logger;
  work: Work;
}

/** The ports that only some functions have; a function's role allows no more than these. */
export interface Ports extends Pick<EngineContext, "objects" | "sealer" | "orchestrator"> {
  secrets: SecretSource[];
  /**
   * How the end of an attempt is seen to whose runtime cannot tell AWS of it: `wait` for it, or for its deadline, while the
   * invocation lasts, or `look` once, which is the default. The sweep of every minute looks again.
   */
  watch: "wait" | "look";
  /**
   * What is done about an attempt that is stopped on a runtime which tells AWS of ends: `wait` until it has ended, or only
   * `ask` for it, which is the default: nobody else's work must wait behind it.
   */
  stops: "wait" | "ask";
}

/** The engine's context of one Lambda process; the home's id is read, or minted by the first of all processes. */
export async function createContext(base: Base, ports: Partial<Ports>): Promise<EngineContext> {
  const { settings, logger, work } = base;
  const table = createDynamodbTable({ table: settings.LONGSHORE_TABLE });
  const ledger: Ledger = { table, clock: Date.now, limits: limitsOf(settings) };
  const home = await openHomeRecord(ledger);
  const ctx: EngineContext = {
    home,
    ledger,
    objects: ports.objects ?? absent("objects"),
    sealer: ports.sealer ?? absent("sealer"),
    secrets: new Map((ports.secrets ?? []).map((source) => [source.scheme, source])),
    orchestrator: ports.orchestrator ?? absent("orchestrator"),
    runtimes: await createRuntimes(settings, { homeId: home.homeId, awaitsStops: ports.stops === "wait" }),
    inflight: hearingCancels(work.inflight, { ledger, logger }),
    watch(attempt) {
      if (pushesEnds(attempt.runtime)) return;
      work.background(`watch ${attempt.jobId}#${attempt.attempt}`, () =>
        ports.watch === "wait" ? seeToEnd(ctx, attempt, work.signal()) : observeExit(ctx, attempt),
      );
    },
    background: work.background,
    progressDelayMs: PROGRESS_DELAY_MS,
    retention: { days: settings.LONGSHORE_RETENTION_DAYS, runs: settings.LONGSHORE_RETENTION_RUNS },
    clock: Date.now,
    random: Math.random,
    logger,
  };
  return ctx;
}

function limitsOf(settings: AwsSettings): Ledger["limits"] {
  return {
    maxQueued: settings.LONGSHORE_MAX_QUEUED,
    maxConcurrent: (runtime) => maxConcurrent(settings, runtime),
    maxPerKey: () => 1,
    shards: settings.LONGSHORE_SHARDS,
    sealedRetentionSeconds: settings.LONGSHORE_RETENTION_DAYS.all * DAY_SECONDS,
  };
}

/** Stands for a port that a function has no right to: to use it is a mistake of ours, and is told as one. */
function absent<T extends object>(port: string): T {
  return new Proxy({} as T, {
    get(_, member) {
      // A promise would be asked whether it can be awaited.
      if (member === "then") return undefined;
      throw new LongshoreError("INTERNAL", `this function was made without ${port}`);
    },
  });
}

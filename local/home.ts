import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createMemoryBus } from "../adapters/bus/memory.ts";
import { createFilesystemObjects } from "../adapters/objects/filesystem.ts";
import { createAslOrchestrator } from "../adapters/orchestrator/asl.ts";
import { createKeyfileSealer } from "../adapters/sealer/keyfile.ts";
import { createEnvSecrets } from "../adapters/secrets/env.ts";
import { createFileSecrets } from "../adapters/secrets/file.ts";
import { createSqliteTable, type SqliteTable } from "../adapters/table/sqlite/index.ts";
import { acquireHomeLock } from "../adapters/table/sqlite/lock.ts";
import type { EngineContext } from "../engine/context.ts";
import { openHomeRecord } from "../engine/ledger/home.ts";
import { breakLease } from "../engine/ledger/lease.ts";
import type { Ledger } from "../engine/ledger/ledger.ts";
import { createLiveLogs } from "../engine/operations/live-log.ts";
import { RECONCILE_DUTY, type ReconcileOptions, type ReconcileReport } from "../engine/operations/reconcile.ts";
import { createUsageReader } from "../engine/operations/usage.ts";
import type { Bus } from "../engine/ports/bus.ts";
import type { Logger } from "../engine/ports/logger.ts";
import { makeHandler as changeFeed } from "../functions/change-feed.ts";
import { makeHandler as dispatch } from "../functions/dispatch.ts";
import { makeHandler as finalize } from "../functions/finalize.ts";
import { makeHandler as logSocket } from "../functions/log-socket.ts";
import { makeHandler as publish } from "../functions/publish.ts";
import { makeHandler as query } from "../functions/query.ts";
import { makeHandler as reconcile } from "../functions/reconcile.ts";
import { makeHandler as recordRuns } from "../functions/record-runs.ts";
import { makeHandler as streamed } from "../functions/stream.ts";
import { makeHandler as submit } from "../functions/submit.ts";
import { atMost, createBackground } from "./background.ts";
import { createChanges } from "./changes.ts";
import { homeChecks } from "./checks.ts";
import { inDataDirectory } from "./data-directory.ts";
import { createFeedPump } from "./feed-pump.ts";
import { openGateway } from "./gateway.ts";
import { createInflight } from "./inflight.ts";
import { invoke } from "./invoke.ts";
import { createLogger } from "./logger.ts";
import { createHomeMetrics } from "./metrics.ts";
import { createRuntimes } from "./runtimes.ts";
import { createScrape } from "./scrape.ts";
import type { Settings } from "./settings.ts";
import { createSweeper } from "./sweeper.ts";
import { createWatcher } from "./watcher.ts";

export interface Home {
  /** `http://127.0.0.1:PORT`; the API is under `/api/v1`. */
  url: string;
  /** In-process subscribers get every event, at least once and in order per job. */
  bus: Bus & { subscribe: ReturnType<typeof createMemoryBus>["subscribe"] };
  /** Stops within 10 s; jobs go on in their containers and processes, and the next start takes them up. Idempotent. */
  close(): Promise<void>;
}

/** What several lines in one frame of a WebSocket take together. */
const SOCKET_FRAME_BYTES = 64 * 1024;
const TIDY_BATCH = 1000;
const MAX_TIDY_ROUNDS = 100;
const DAY_SECONDS = 24 * 3600;
/** How long what is at work, such as a clean-up or a container's stop, may take when the home closes. */
const CLOSE_PATIENCE_MS = 3000;

/**
 * Opens the home in a data directory: takes its lock, goes on with what was under way, and answers on loopback.
 * @throws LongshoreError CONFLICT when another process uses the directory or the port, UNAVAILABLE when the directory
 * cannot be written.
 */
export async function openHome(
  settings: Settings,
  logger: Logger = createLogger({ level: settings.logLevel }),
): Promise<Home> {
  return await inDataDirectory(settings.home, () => open(settings, logger));
}

async function open(settings: Settings, logger: Logger): Promise<Home> {
  const openedAtMs = Date.now();
  await using opened = new AsyncDisposableStack();
  await mkdir(settings.home, { recursive: true, mode: 0o700 });
  await chmod(settings.home, 0o700);
  const lock = acquireHomeLock(join(settings.home, "lock"));
  opened.defer(() => lock.release());

  const table = createSqliteTable({ file: join(settings.home, "ledger.db") });
  opened.defer(() => table.close());
  const ledger: Ledger = { table, clock: Date.now, limits: limitsOf(settings) };
  const home = await openHomeRecord(ledger);
  // The lock is this process's: whoever had the lease is dead, and what it left is taken up at once.
  await breakLease(ledger, RECONCILE_DUTY);
  const sealer = await createKeyfileSealer({ file: join(settings.home, "key") });
  const runtimes = createRuntimes(settings, home.homeId);
  opened.defer(() => runtimes.dispose());

  const inflight = createInflight();
  const watcher = createWatcher();
  const background = createBackground(logger);
  const bus = createMemoryBus({ logger });
  const secrets = [
    createEnvSecrets(settings.environment),
    createFileSecrets({ roots: settings.secretRoots, forbidden: [settings.home] }),
  ];
  const orchestrator = createAslOrchestrator({
    definition: JSON.parse(await readFile(new URL("../functions/lifecycle.asl.json", import.meta.url), "utf8")),
    handlers: {
      DispatchFunction: (payload) => invoke(functions.dispatch, payload),
      FinalizeFunction: (payload) => invoke(functions.finalize, payload),
    },
    logger,
  });
  const objects = createFilesystemObjects({ directory: join(settings.home, "objects") });
  const metrics = createHomeMetrics(Date.now);
  const directory = settings.home;
  const ctx: EngineContext = {
    home,
    ledger,
    objects,
    sealer,
    secrets: new Map(secrets.map((source) => [source.scheme, source])),
    orchestrator,
    runtimes,
    inflight,
    watch: (attempt) => watcher.watch(ctx, attempt),
    background: background.run,
    retention: settings.retention,
    checks: homeChecks({
      objects,
      directory,
      everySeconds: settings.reconcileSeconds,
      openedAtMs,
      sweptAtMs: metrics.sweptAtMs,
      clock: Date.now,
    }),
    clock: Date.now,
    random: Math.random,
    logger,
  };
  const usage = createUsageReader(ctx);
  const functions = {
    submit: submit(ctx),
    query: query(ctx, usage),
    dispatch: dispatch(ctx),
    finalize: finalize(ctx),
    changeFeed: changeFeed(ctx),
    publish: publish(ctx, { bus, taken: metrics.taken }),
    reconcile: reconcile(ctx),
    recordRuns: recordRuns(ctx),
  };
  // In this order things end: no more news, launches let go, executions ended, watchers gone, the last work done.
  opened.defer(() => atMost(CLOSE_PATIENCE_MS, background.settled()));
  opened.defer(() => watcher.close());
  opened.defer(() => atMost(CLOSE_PATIENCE_MS, orchestrator.close()));
  opened.defer(() => inflight.shutDown());

  await runtimes.refresh();
  const sweeper = createSweeper({
    everySeconds: settings.reconcileSeconds,
    sweep: async (touchedBefore) => {
      await runtimes.refresh();
      const recount = touchedBefore === openedAtMs ? "now" : "due";
      const options: ReconcileOptions = { touchedBefore, recount };
      metrics.swept(await invoke<ReconcileOptions, ReconcileReport>(functions.reconcile, options));
      if (touchedBefore > openedAtMs) await tidy(table);
    },
    logger,
  });
  opened.defer(() => atMost(CLOSE_PATIENCE_MS, sweeper.close()));
  const pumpOptions = { feed: table.feed, cursor: table.cursor, saveCursor: table.saveCursor, logger };
  const pumps = [
    createFeedPump({ ...pumpOptions, name: "lifecycle", handle: (records) => invoke(functions.changeFeed, records) }),
    createFeedPump({ ...pumpOptions, name: "bus", handle: (records) => invoke(functions.publish, records) }),
    createFeedPump({ ...pumpOptions, name: "runs", handle: (records) => invoke(functions.recordRuns, records) }),
  ];
  opened.defer(async () => {
    await Promise.all(pumps.map((pump) => pump.stop()));
  });
  const changes = createChanges(table.feed);
  opened.defer(() => changes.close());

  const streams = {
    ctx,
    changes,
    live: createLiveLogs(ctx),
    progressOf: inflight.progressOf,
    onProgress: inflight.onProgress,
  };
  const gateway = await openGateway(
    {
      submit: (event) => invoke(functions.submit, event),
      query: (event) => invoke(functions.query, event),
      metrics: createScrape({ ctx, metrics, usage, directory, sinceMs: openedAtMs }),
      answered: metrics.answered,
      stream: streamed(streams),
      logSocket: logSocket(streams, { maxBytes: SOCKET_FRAME_BYTES }),
    },
    settings.port,
    logger,
  );
  opened.defer(() => gateway.close());
  const endpoint = await announce(settings.home, gateway.url);
  opened.defer(endpoint.withdraw);
  for (const pump of pumps) pump.start();
  sweeper.start();
  // Nobody is at what was under way when the last process ended: it is taken up at once, while new jobs come in.
  void sweeper.sweep(openedAtMs);
  logger.info({ url: gateway.url, home: settings.home }, "Longshore is ready");

  const owned = opened.move();
  return { url: gateway.url, bus, close: () => owned.disposeAsync() };
}

function limitsOf(settings: Settings): Ledger["limits"] {
  return {
    maxQueued: settings.maxQueued,
    maxConcurrent: (runtime) => settings.maxConcurrent[runtime] ?? 1,
    maxPerKey: () => 1,
    shards: 1,
    sealedRetentionSeconds: settings.retention.days.all * DAY_SECONDS,
  };
}

/**
 * Removes what has expired, and what every reader of the change feed has passed. Not by a home that has just been
 * opened: an accepted batch that waits in the feed must be published before its staged jobs can expire.
 */
async function tidy(table: SqliteTable): Promise<void> {
  for (let round = 0; round < MAX_TIDY_ROUNDS; round++) {
    const removed = await table.sweepExpired(Math.floor(Date.now() / 1000), TIDY_BATCH);
    if (removed < TIDY_BATCH) break;
  }
  await table.trimFeed();
}

/** Writes where this home answers, so that a command on the same machine finds it. */
async function announce(home: string, url: string): Promise<{ withdraw: () => Promise<void> }> {
  const file = join(home, "endpoint.json");
  await writeFile(`${file}.tmp`, JSON.stringify({ url, pid: process.pid }), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
  return { withdraw: () => rm(file, { force: true }) };
}

import { readFileSync } from "node:fs";
import type { EngineContext } from "../../engine/context.ts";
import type { LedgerLimits } from "../../engine/ledger/ledger.ts";
import type { FeedRecord } from "../../engine/ports/table.ts";
import { invoke } from "../../local/invoke.ts";
import { createMemoryTable, type MemoryTable } from "../lab/memory-table.ts";
import { createModelBus, type ModelBus } from "./bus.ts";
import { createFeedReader, type FeedReader } from "./feed.ts";
import { type Ownership, replaceGlobals } from "./globals.ts";
import { bootHome, type HomeProcess } from "./home-process.ts";
import { createInvariants, type Invariants } from "./invariants.ts";
import { createObjects } from "./objects.ts";
import { createPorts, type Faults, type Ports } from "./ports.ts";
import { createPlace, type Place } from "./runtime.ts";
import { createModelSealer } from "./sealer.ts";
import { createSim, type Sim } from "./sim.ts";
import { checkCleaned, createStarts } from "./starts.ts";
import { createStateMachine, type Definition, diedWith, type StateMachine } from "./state-machine.ts";

/** The bounds and the kind of home that one run of the model has. */
export interface Setting {
  /** Decides which of the things that could happen next does, and everything else that is left to chance. */
  schedule: number;
  maxQueued: number;
  maxConcurrent: number;
  maxPerKey: number;
  shards: number;
  /** Executions outlive a process, as in Step Functions. */
  durable: boolean;
  /**
   * What a dead process asked for may still arrive, and a task may be delivered twice at once: then two launches of one
   * attempt may meet, and a resource may be seen after its attempt has ended, until whoever made it removes it.
   */
  overlap: boolean;
  /** How many streams the change feed has. */
  streams: number;
  /** Whether events leave for the bus. */
  publishes: boolean;
  /** How many of the retries that the lifecycle allows the orchestrator makes: 0 to 1. */
  patience: number;
  faults: Faults;
}

/** A home whose outside is all played: it dies and comes back, and everything that it calls may fail or be late. */
export interface World {
  readonly setting: Setting;
  readonly limits: LedgerLimits;
  readonly sim: Sim;
  readonly ports: Ports;
  readonly table: MemoryTable;
  readonly places: readonly Place[];
  readonly machine: StateMachine;
  readonly feeds: readonly FeedReader[];
  readonly bus: ModelBus;
  readonly invariants: Invariants;
  /** What the orchestrator and the feed asked for and was refused by an error. */
  readonly failures: string[];
  /** Runs work in the process that is alive; rejects when that dies or none is. */
  run<T>(work: (ctx: EngineContext) => Promise<T>): Promise<T>;
  /** Runs a task of the lifecycle, as the orchestrator does. */
  task(functionName: string, payload: unknown): Promise<unknown>;
  /** Reconciles what nobody touched for so long. */
  sweep(quietMs: number): Promise<void>;
  /** The process dies with all that is in its memory. */
  crash(): void;
  /** SIGTERM: launches are let go. */
  stop(): void;
  /** Begins a process unless one is alive; true when it did. */
  boot(): boolean;
  /** Gives the machine its timers back. */
  close(): void;
}

export const RUNTIMES = ["stub", "stub-b"] as const;

const HOUR_MS = 3600 * 1000;
/** Ids never go back within a process of the machine: every world begins after the one before. */
let nextStartMs = Date.parse("2026-03-04T00:00:00.000Z");

const definition: Definition = JSON.parse(
  readFileSync(new URL("../../functions/lifecycle.asl.json", import.meta.url), "utf8"),
);

export function openWorld(setting: Setting): World {
  const sim = createSim(setting.schedule, nextStartMs);
  const ownership: Ownership = { current: sim.outside };
  const restore = replaceGlobals(sim, ownership);
  const ports = createPorts(sim);
  ports.faults = { ...setting.faults };
  const limits: LedgerLimits = {
    maxQueued: setting.maxQueued,
    maxConcurrent: () => setting.maxConcurrent,
    maxPerKey: () => setting.maxPerKey,
    shards: setting.shards,
    sealedRetentionSeconds: 30 * 24 * 3600,
  };
  const invariants = createInvariants(limits, () => table, sim.nowMs);
  const table = createMemoryTable((writes) => {
    invariants.onCommit(writes);
    if (!setting.overlap) checkCleaned(writes, places, invariants.fail);
    for (const { before, after } of writes) {
      if (after !== undefined && before === undefined && after.sk.startsWith("EVENT#"))
        for (const feed of feeds) feed.add(after);
    }
  });
  const onStart = createStarts({ table, invariants, places: () => places, overlap: setting.overlap });
  const { maxConcurrent } = setting;
  const places = RUNTIMES.map((name) => createPlace({ name, sim, ownership, maxConcurrent, onStart }));
  const failures: string[] = [];
  const noted = <T>(work: Promise<T>): Promise<T> => {
    // That another attempt is due is an answer of Finalize, not a failure.
    work.catch((error: Error) => error.name === "RetryDue" || failures.push(String(error)));
    return work;
  };
  const task = (functionName: string, payload: unknown) =>
    inProcess(({ functions }) =>
      noted(invoke(functionName.includes("Dispatch") ? functions.dispatch : functions.finalize, payload)),
    );
  const { durable, patience } = setting;
  const machine = createStateMachine({ definition, sim, durable, patience, invoke: task });
  const bus = createModelBus(invariants.fail);
  const readerOf = (name: "changeFeed" | "publish"): FeedReader =>
    createFeedReader({
      sim,
      streams: setting.streams,
      isUp: () => alive !== undefined,
      onPoison: bus.forgive,
      handle: (records: FeedRecord[]) => inProcess(({ functions }) => noted(invoke(functions[name], records))),
    });
  const feeds = setting.publishes ? [readerOf("changeFeed"), readerOf("publish")] : [readerOf("changeFeed")];
  const objects = createObjects(sim.nowMs);
  const sealer = createModelSealer();
  let alive: HomeProcess | undefined;
  let processes = 0;

  async function inProcess<T>(work: (process: HomeProcess) => Promise<T>): Promise<T> {
    const process = alive;
    if (process === undefined) throw new Error("model: no process is alive");
    return await Promise.race([work(process), process.died.promise]);
  }

  const world: World = {
    setting,
    limits,
    sim,
    ports,
    table,
    places,
    machine,
    feeds,
    bus,
    invariants,
    failures,
    task,
    run: (work) => inProcess(({ ctx }) => work(ctx)),
    async sweep(quietMs) {
      await inProcess(({ functions }) => invoke(functions.reconcile, { touchedBefore: sim.nowMs() - quietMs }));
      // Not by a home that has just been opened, as in `local/home.ts`.
      if (quietMs > 0) table.sweepExpired(Math.floor(sim.nowMs() / 1000));
    },
    crash() {
      if (alive === undefined) return;
      const process = alive;
      alive = undefined;
      ownership.current = sim.outside;
      ports.kill(process);
      process.died.reject(diedWith(process));
      machine.processDied();
      for (const feed of feeds) feed.processDied();
    },
    stop: () => alive?.shutDown(),
    boot() {
      if (alive !== undefined) return false;
      const outside = { sim, ports, table, objects, sealer, places, machine, outlives: durable && setting.overlap };
      alive = bootHome({ id: ++processes, outside, limits, bus });
      ownership.current = alive;
      return true;
    },
    close() {
      restore();
      nextStartMs = Math.ceil(sim.nowMs() / HOUR_MS) * HOUR_MS + HOUR_MS;
    },
  };
  world.boot();
  return world;
}

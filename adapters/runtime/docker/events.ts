import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { GetEventsOptions } from "dockerode";
import { LABELS } from "../../../engine/naming.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { readJsonLines } from "./json-lines.ts";
import { createOutsideKills } from "./outside-kills.ts";
import { untilAborted } from "./waiting.ts";

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5_000;
/**
 * How far back the engine repeats events on a new connection. It keeps 256 at most, so this costs nothing, and it
 * covers the moment between its answer and its own subscription as well as clocks that differ by minutes.
 */
const REPEAT_SECONDS = 600;
const KEEP_ALIVE_MS = 30_000;
/** Of all homes: a filter by label would hide that everything on this engine is being killed. */
const FILTERS = { type: ["container"], event: ["start", "kill", "die", "oom", "destroy"] };
const MAX_OUTAGES = 64;
/** An engine that is busy may show an end so long before it tells of it. */
const UNTOLD_MS = 3_000;

/** One container that somebody waits for. */
export interface Vigil {
  /** Resolves when the stream is up: what ends from now on will be noticed. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when the container may have ended since the last call, or after `limitMs`. Rejects with the signal's
   * reason.
   */
  next(signal: AbortSignal, limitMs?: number): Promise<void>;
  release(): void;
}

/** The one event stream of an adapter; all who wait share it. */
export interface Watcher {
  /** Connects, if nobody has waited yet: what is started from now on is seen to end, or known to have been lost. */
  start(): void;
  watch(ref: ExternalRef): Vigil;
  /** Whether the engine was away when the container ended (by the engine's own clock). */
  wasLost(ref: ExternalRef, finishedAtMs: number | null): boolean;
  /**
   * Whether the container ended by a kill of which it is not yet known whether the engine did it as it goes away: also
   * for a moment after `finishedAtMs`, while the engine shows the end and has not told of it, nor of what led to it.
   */
  isUndecided(ref: ExternalRef, finishedAtMs?: number): boolean;
  /** When a container of this home was started and ended with exit code 0, by the engine's events; else undefined. */
  endedWell(ref: ExternalRef): { startedAtMs: number | null; finishedAtMs: number } | undefined;
  /** Whether the engine reported that the container ran out of memory. */
  ranOutOfMemory(ref: ExternalRef): boolean;
  /** Drops what is known about a container that was removed. */
  forget(ref: ExternalRef): void;
  /** Ends the stream; whoever waits gets the reason. Idempotent. */
  close(reason: Error): Promise<void>;
}

export interface WatcherOptions {
  engine: Engine;
  homeId: string;
  clock: Clock;
  /** Which of this home's containers have not ended: one question for all of them. */
  alive(): Promise<Set<ExternalRef>>;
  /** Whether Longshore itself asked it to end. */
  isCancelled(ref: ExternalRef): boolean;
}

interface EngineEvent {
  Type?: string;
  Action?: string;
  timeNano?: number;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}

/** A watcher that connects when somebody first waits, and stays connected until it is closed. */
export function createWatcher({ engine, homeId, clock, alive, isCancelled }: WatcherOptions): Watcher {
  const waiters = new Map<ExternalRef, Set<() => void>>();
  /** Not known to have survived the outage in which they were waited for. */
  const suspects = new Set<ExternalRef>();
  const outOfMemory = new Set<ExternalRef>();
  const starts = new Map<ExternalRef, number>();
  const goodEnds = new Map<ExternalRef, number>();
  const deaths = new Set<ExternalRef>();
  const outages: { from: number; to: number }[] = [];
  const closing = new AbortController();
  let awaySince: number | null = null;
  let up = Promise.withResolvers<void>();
  let isUp = false;
  let connections = 0;
  let loop: Promise<void> | undefined;

  const wake = (ref: ExternalRef): void => {
    for (const wakeUp of waiters.get(ref) ?? []) wakeUp();
  };
  const kills = createOutsideKills((refs) => {
    for (const ref of refs) wake(ref);
  });
  const forget = (ref: ExternalRef): void => {
    for (const known of [suspects, outOfMemory, starts, goodEnds, deaths]) known.delete(ref);
    kills.forget(ref);
  };
  const onEvent = ({ Action: action, Actor: actor, timeNano = 0 }: EngineEvent): void => {
    const { ID: ref, Attributes: facts = {} } = actor ?? {};
    if (ref === undefined) return;
    // Other people's containers count too: an engine that stops kills them all.
    if (action === "kill" && !isCancelled(ref)) kills.killed(ref, facts.signal ?? "");
    const held = action === "die" && kills.died(ref, facts.exitCode ?? "");
    if (facts[LABELS.home] !== homeId) return kills.forget(ref);
    const atMs = Math.floor(timeNano / 1e6);
    if (action === "start") starts.set(ref, atMs);
    if (action === "die") deaths.add(ref);
    if (action === "oom") outOfMemory.add(ref);
    if (action === "die" && facts.exitCode === "0") goodEnds.set(ref, atMs);
    if (action === "destroy") forget(ref);
    if (action === "destroy" || (action === "die" && !held)) wake(ref);
  };
  /** Whoever waits and is not alive any more ended while nobody looked. */
  const resync = async (): Promise<void> => {
    const living = await alive();
    for (const ref of living) suspects.delete(ref);
    for (const ref of waiters.keys()) if (!living.has(ref)) wake(ref);
  };
  const connected = (): void => {
    if (awaySince !== null) {
      outages.push({ from: awaySince, to: clock() });
      if (outages.length > MAX_OUTAGES) outages.shift();
      awaySince = null;
    }
    isUp = true;
    connections += 1;
    up.resolve();
  };
  const disconnected = (): void => {
    awaySince ??= clock();
    for (const ref of kills.takeUndecided()) suspects.add(ref);
    if (!isUp) return;
    isUp = false;
    up = Promise.withResolvers<void>();
    // They were alive when it broke. Of those who begin to wait later only the time of their end can tell.
    for (const ref of waiters.keys()) suspects.add(ref);
  };
  const readEvents = async (stream: NodeJS.ReadableStream): Promise<void> => {
    for await (const event of readJsonLines<EngineEvent>(stream)) onEvent(event);
  };
  /** Follows one connection to its end; resolves or throws, the stream is over in either case. */
  const follow = async (): Promise<void> => {
    let stream: NodeJS.ReadableStream | undefined;
    try {
      stream = await engine.open((client, abortSignal) => {
        const since = Math.floor(clock() / 1000) - REPEAT_SECONDS;
        return client.getEvents({ since, filters: FILTERS, abortSignal } as GetEventsOptions);
      }, closing.signal);
      // On the way to a remote engine something may forget the connection without telling either end.
      (stream as IncomingMessage).socket.setKeepAlive(true, KEEP_ALIVE_MS);
      const reading = readEvents(stream);
      // The list may fail while the stream holds: then both are tried again.
      await Promise.race([resync().then(connected), reading]);
      await reading;
    } finally {
      disconnected();
      (stream as IncomingMessage | undefined)?.destroy();
    }
  };
  const run = async (): Promise<void> => {
    let failures = 0;
    while (!closing.signal.aborted) {
      const connectedBefore = connections;
      // Why it ended does not matter: an engine that is away is what this loop is for, and `health` tells of it.
      await follow().catch(() => undefined);
      failures = connections > connectedBefore ? 0 : failures + 1;
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS);
      await delay(retryMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };

  const start = (): void => {
    loop ??= run();
  };
  const watch = (ref: ExternalRef): Vigil => {
    start();
    let pending = Promise.withResolvers<void>();
    const wakeUp = () => pending.resolve();
    const others = waiters.get(ref) ?? new Set();
    waiters.set(ref, others.add(wakeUp));
    return {
      ready: (signal) => untilAborted(up.promise, AbortSignal.any([signal, closing.signal])),
      async next(signal, limitMs) {
        const timer = limitMs === undefined ? undefined : setTimeout(wakeUp, limitMs);
        try {
          await untilAborted(pending.promise, AbortSignal.any([signal, closing.signal]));
          pending = Promise.withResolvers<void>();
        } finally {
          clearTimeout(timer);
        }
      },
      release() {
        others.delete(wakeUp);
        if (others.size === 0) waiters.delete(ref);
      },
    };
  };

  return {
    start,
    watch,
    wasLost(ref, finishedAtMs) {
      if (suspects.has(ref)) return true;
      if (finishedAtMs === null) return false;
      if (awaySince !== null && finishedAtMs >= awaySince) return true;
      return outages.some(({ from, to }) => finishedAtMs >= from && finishedAtMs <= to);
    },
    isUndecided(ref, finishedAtMs) {
      if (suspects.has(ref)) return false;
      if (kills.isUndecided(ref)) return true;
      if (finishedAtMs === undefined || !isUp || deaths.has(ref)) return false;
      return Math.abs(clock() - finishedAtMs) < UNTOLD_MS;
    },
    ranOutOfMemory: (ref) => outOfMemory.has(ref),
    endedWell(ref) {
      const finishedAtMs = goodEnds.get(ref);
      return finishedAtMs === undefined ? undefined : { startedAtMs: starts.get(ref) ?? null, finishedAtMs };
    },
    forget,
    async close(reason) {
      closing.abort(reason);
      await loop;
      kills.takeUndecided();
    },
  };
}

import type { FeedRecord, Item } from "../../engine/ports/table.ts";
import type { Sim } from "./sim.ts";

/** One reader of the change feed, such as the lifecycle or the bus. */
export interface FeedReader {
  /** What was committed and not delivered yet is lost, as what is older than a day. */
  lose(): number;
  /** The process died: what it was reading comes again, maybe with some that came before. */
  processDied(): void;
  add(item: Item): void;
}

export interface FeedOptions {
  sim: Sim;
  /** How many streams there are: records of one job stay in order, those of two jobs need not. */
  streams: number;
  /** Whether there is a process to handle anything. */
  isUp(): boolean;
  /** A record was passed over that failed too often: events behind it come all the same. */
  onPoison(): void;
  /** Handles records in order; rejects when they must come again. */
  handle(records: FeedRecord[]): Promise<{ failed: number[] }>;
}

const MAX_BATCH = 8;
const MAX_FAILURES = 20;
const RETRY_MS = 1000;
const AGAIN = 0.1;

interface Stream {
  records: FeedRecord[];
  /** How many of them were delivered for good. */
  cursor: number;
  failures: number;
  /** What is going on is told apart from what a dead process left. */
  reading: object | null;
}

export function createFeedReader({ sim, streams, isUp, onPoison, handle }: FeedOptions): FeedReader {
  const all = Array.from({ length: streams }, (): Stream => ({ records: [], cursor: 0, failures: 0, reading: null }));
  let position = 0;

  function pump(stream: Stream): void {
    if (stream.reading !== null || stream.cursor >= stream.records.length) return;
    const reading = {};
    stream.reading = reading;
    sim.enqueue(sim.outside, () => {
      if (stream.reading === reading) void deliver(stream, reading);
    });
  }

  async function deliver(stream: Stream, reading: object): Promise<void> {
    if (!isUp()) {
      stream.reading = null;
      return void sim.setTimer(sim.outside, RETRY_MS, () => pump(stream));
    }
    const batch = stream.records.slice(stream.cursor, stream.cursor + 1 + sim.random.below(MAX_BATCH));
    const done = await handle(batch).then(
      ({ failed }) => firstFailed(batch, failed),
      () => 0,
    );
    if (stream.reading !== reading) return;
    stream.reading = null;
    if (done === batch.length) {
      stream.failures = 0;
      stream.cursor += sim.random.chance(AGAIN) ? sim.random.below(done + 1) : done;
      return pump(stream);
    }
    stream.cursor += done;
    if (done > 0) stream.failures = 0;
    if (++stream.failures > MAX_FAILURES) {
      stream.failures = 0;
      stream.cursor++;
      onPoison();
    }
    sim.setTimer(sim.outside, RETRY_MS, () => pump(stream));
  }

  const reader: FeedReader = {
    add(item) {
      const stream = all[streamOf(item, streams)] as Stream;
      stream.records.push({ position: ++position, item });
      pump(stream);
    },
    lose() {
      const lost = all.reduce((sum, { records, cursor }) => sum + records.length - cursor, 0);
      for (const stream of all) {
        stream.cursor = stream.records.length;
        stream.reading = null;
      }
      return lost;
    },
    processDied() {
      for (const stream of all) {
        stream.reading = null;
        stream.cursor = Math.max(0, stream.cursor - sim.random.below(MAX_BATCH));
        pump(stream);
      }
    },
  };
  return reader;
}

function firstFailed(batch: FeedRecord[], failed: number[]): number {
  const at = batch.findIndex(({ position }) => failed.includes(position));
  return at < 0 ? batch.length : at;
}

function streamOf({ pk }: Item, streams: number): number {
  return pk.charCodeAt(pk.length - 1) % streams;
}

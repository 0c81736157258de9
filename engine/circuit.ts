/** How a runtime's circuit stands: `half-open` is an open one whose cool-down is over, so that it may be tried again. */
export type CircuitState = "closed" | "open" | "half-open";

/** Calls in a row that a runtime did not answer, after which nothing is admitted for it; a launch that it answers ends the row. */
export const SILENT_CALLS = 3;
/** They count together only within this: it holds a few calls that hang for as long as a call may (two minutes). */
export const WINDOW_MS = 600_000;
/** The first cool-down; each further one in a row takes twice as long as the one before, up to the longest. */
export const COOL_DOWN_MS = 5_000;
export const MAX_COOL_DOWN_MS = 60_000;
/** Of what a runtime said, this many characters are kept: every job that waits for it shows them. */
const MAX_MESSAGE = 300;

/** A runtime's circuit as the ledger keeps it. Times are ms since the epoch. */
export interface CircuitRecord {
  state: "closed" | "open";
  /** While closed: the calls in a row that got no answer, oldest first. */
  silent: { call: string; atMs: number }[];
  /** When it was opened, tried in vain, or closed last; 0 when it never was. What was asked before is old news. */
  changedMs: number;
  /** Since when nothing is admitted; null while closed. */
  openedMs: number | null;
  /** When the cool-down is over. */
  untilMs: number;
  /** The last cool-down; 0 once a launch has gone well since. */
  coolDownMs: number;
  /** What the runtime said last, or what was said in its place; null while closed. */
  message: string | null;
}

/** The circuit of a runtime of which nothing bad was ever heard. */
export const UNTRIED: Readonly<CircuitRecord> = {
  state: "closed",
  silent: [],
  changedMs: 0,
  openedMs: null,
  untilMs: 0,
  coolDownMs: 0,
  message: null,
};

/** What one call of a runtime told of it. `beganMs`: when it was asked. */
export type CircuitNews =
  /** It did not answer. `call` names the call, so that what is told twice counts once. */
  | { type: "SILENT"; call: string; beganMs: number; message: string }
  /** It answered: a launch, or whoever asked how it is. */
  | { type: "ANSWERED"; to: "launch" | "probe"; beganMs: number };

export function circuitState({ state, untilMs }: CircuitRecord, nowMs: number): CircuitState {
  if (state === "closed") return "closed";
  return nowMs < untilMs ? "open" : "half-open";
}

/**
 * The circuit after some news; the same object when they change nothing. News of a call that began before the last
 * change are late, and tell nothing of how the runtime is: they are ignored, as are failures during the cool-down.
 * A probe that was answered closes the circuit, but only a launch that goes well lets the next cool-down be short
 * again: a runtime that says it is well and starts nothing is asked less and less often.
 */
export function nextCircuit(record: CircuitRecord, news: CircuitNews, nowMs: number): CircuitRecord {
  if (news.beganMs < record.changedMs) return record;
  return news.type === "ANSWERED" ? answered(record, news, nowMs) : silent(record, news, nowMs);
}

function answered(record: CircuitRecord, { to }: { to: "launch" | "probe" }, nowMs: number): CircuitRecord {
  const { changedMs, coolDownMs } = record;
  if (record.state === "open") {
    return { ...UNTRIED, changedMs: nowMs, coolDownMs: to === "launch" ? 0 : coolDownMs };
  }
  if (to === "probe" || (record.silent.length === 0 && coolDownMs === 0)) return record;
  return { ...UNTRIED, changedMs };
}

function silent(
  record: CircuitRecord,
  { call, beganMs, message }: { call: string; beganMs: number; message: string },
  nowMs: number,
): CircuitRecord {
  if (record.state === "open") {
    // What began during the cool-down was bound to fail.
    if (nowMs < record.untilMs || beganMs < record.untilMs) return record;
    return opened({ ...record, openedMs: record.openedMs ?? nowMs }, message, nowMs);
  }
  if (record.silent.some((one) => one.call === call)) return record;
  const recent = record.silent.filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
  const counted = [...recent, { call, atMs: nowMs }];
  if (counted.length < SILENT_CALLS) return { ...record, silent: counted };
  return opened({ ...record, openedMs: nowMs }, message, nowMs);
}

function opened(record: CircuitRecord, message: string, nowMs: number): CircuitRecord {
  const coolDownMs =
    record.coolDownMs === 0 ? COOL_DOWN_MS : Math.min(MAX_COOL_DOWN_MS, Math.max(COOL_DOWN_MS, record.coolDownMs * 2));
  return {
    ...record,
    state: "open",
    silent: [],
    changedMs: nowMs,
    untilMs: nowMs + coolDownMs,
    coolDownMs,
    message: message.slice(0, MAX_MESSAGE),
  };
}

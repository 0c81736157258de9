import { randomBytes } from "node:crypto";
import type { Spec } from "../scenarios/contract.ts";
import { dockerJob, processJob, stubJob } from "../scenarios/runtimes.ts";
import type { RuntimeName } from "./options.ts";
import type { Random } from "./random.ts";

/** Values that no file of the home may hold. */
export interface Needles {
  /** Written into specs. */
  inSpec: string;
  /** In the home's environment under `NEEDLE_VARIABLE`, and fetched from there by secret reference. */
  inEnvironment: string;
}

export const NEEDLE_VARIABLE = "CHAOS_NEEDLE";

/** What a job must come to when nobody cancels it. Null: only a cancel ends it. */
export type Verdict = {
  status: "SUCCEEDED" | "FAILED" | "TIMED_OUT";
  category: string | null;
  /** Absent: whatever the stop made of it. */
  exitCode?: number;
  attempt: number;
} | null;

/** A job that is going to be submitted, and what is known of it beforehand. */
export interface Plan {
  /** Its Idempotency-Key when it is submitted alone. */
  id: string;
  kind: string;
  spec: Spec;
  verdict: Verdict;
  /** How many lines `out N` and `err N` every attempt writes that ends by itself. */
  lines: { out: number; err: number };
  /** When it is cancelled, ms after it was accepted; null: never. */
  cancelAfterMs: number | null;
}

/** Where jobs of a run find what is theirs. */
export interface Ground {
  runtime: RuntimeName;
  /** A directory of the run as this process sees it. A container has it at `PLACE`. */
  shared: string;
  needles: Needles;
}

const PLACE = "/shared";
/** Every command notes its start here; in the ground's directory. */
export const STARTS_FILE = "starts";

/** A life, as a script for a shell and as one for the stub. */
interface Act {
  kind: string;
  script: string;
  stub: Record<string, string>;
  more?: Spec;
  /** Default: it ends at its first attempt, as the script says. */
  verdict?: Verdict;
  lines: Plan["lines"];
  cancelAfterMs?: number;
}

type Maker = (random: Random, ground: Ground, id: string) => Act;

/** So many plans of every kind. */
export function createPlans(count: number, random: Random, ground: Ground): Plan[] {
  return Array.from({ length: count }, (_, index) => {
    // Every kind comes in its turn before the dice decide: a small run has all of them.
    const maker = index < MAKERS.length ? (MAKERS[index] as Maker) : random.pick(MAKERS);
    return planOf(maker, index + 1, { random, ground });
  });
}

/** A plan whose job ends soon by itself: most end at once and well. */
export function createBriefPlan(number: number, random: Random, ground: Ground): Plan {
  return planOf(random.chance(SHARE_OF_QUICK) ? quick : random.pick(BRIEF), number, { random, ground });
}

/** What a run's needles are: nobody else has them. */
export function createNeedles(): Needles {
  return { inSpec: randomBytes(18).toString("hex"), inEnvironment: randomBytes(18).toString("hex") };
}

function planOf(maker: Maker, number: number, { random, ground }: { random: Random; ground: Ground }): Plan {
  const id = `chaos-${number}`;
  const act = maker(random, ground, id);
  const { kind, script, stub, more = {}, verdict = succeeded(), lines, cancelAfterMs = null } = act;
  const network = { mode: random.pick(["none", "none", "isolated"]) };
  const common = {
    name: `chaos-${kind}`,
    labels: { chaos: id },
    lane: random.pick(["default", "north", "south"]),
    priority: random.int(-10, 10),
    stopGraceSeconds: 1,
    ...(ground.runtime === "docker" ? { network } : {}),
    ...more,
  };
  return { id, kind, spec: specFor(ground, { script, stub, common }), verdict, lines, cancelAfterMs };
}

function specFor(
  { runtime, shared }: Ground,
  { script, stub, common }: { script: string; stub: Record<string, string>; common: Spec },
): Spec {
  const { env = {}, ...rest } = common as { env?: Record<string, string> };
  if (runtime === "stub") return stubJob({ ...env, ...stub }, rest);
  if (runtime === "process") {
    // By its markers, of which a container has none: there Docker's own events tell.
    const noted = `echo "$LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT" >> ${PLACE}/${STARTS_FILE}; ${script}`;
    return processJob(noted.replaceAll(PLACE, shared), { env, ...rest });
  }
  return dockerJob(script, { volumes: [{ source: shared, target: PLACE }], env, ...rest });
}

function succeeded(attempt = 1): Verdict {
  return { status: "SUCCEEDED", category: null, exitCode: 0, attempt };
}

function failed(exitCode: number, attempt = 1): Verdict {
  return { status: "FAILED", category: "USER_CODE", exitCode, attempt };
}

/** Writes lines to both streams in turn. */
function write(from: number, to: number): string {
  return `i=${from}; while [ $i -le ${to} ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done`;
}

function stubLines(out: number, err = out): Record<string, string> {
  const all = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n + 1}`).join("\n");
  return { STUB_STDOUT: all("out", out), STUB_STDERR: all("err", err) };
}

/** A sleep of so many ms, as a shell's argument. */
const seconds = (ms: number): string => (ms / 1000).toFixed(2);

const quick: Maker = (random) => {
  const n = random.int(1, 20);
  const lines = { out: n, err: n };
  return { kind: "quick", script: write(1, n), stub: stubLines(n), lines };
};

const slow: Maker = (random) => {
  const parts = random.int(2, 5);
  const pauseMs = random.int(100, 700);
  const scripts = Array.from({ length: parts }, (_, part) => write(part * 5 + 1, part * 5 + 5));
  const n = parts * 5;
  const stub = { ...stubLines(n), STUB_DURATION_MS: String(pauseMs * parts) };
  return { kind: "slow", script: scripts.join(`; sleep ${seconds(pauseMs)}; `), stub, lines: { out: n, err: n } };
};

const fails: Maker = (random) => {
  const code = random.int(1, 100);
  const pauseMs = random.int(0, 500);
  const stub = { ...stubLines(3), STUB_DURATION_MS: String(pauseMs), STUB_EXIT_CODE: String(code) };
  const script = `${write(1, 3)}; sleep ${seconds(pauseMs)}; exit ${code}`;
  return { kind: "fails", script, stub, verdict: failed(code), lines: { out: 3, err: 3 } };
};

/** Notes each start, so that it can end otherwise at a later one. */
function counted(id: string, script: string): string {
  const file = `${PLACE}/${id}.count`;
  return `echo x >> ${file}; n=$(wc -l < ${file}); ${script}`;
}

const recovers: Maker = (random, _, id) => {
  const attempt = random.int(2, 3);
  const retry = { maxAttempts: 3, delaySeconds: random.pick([0, 0.5, 1]), on: ["USER_CODE", "UNKNOWN"] };
  const script = counted(id, `${write(1, 4)}; [ $n -ge ${attempt} ] || exit 9`);
  const stub = { ...stubLines(4), STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: String(attempt - 1) };
  return { kind: "recovers", script, stub, more: { retry }, verdict: succeeded(attempt), lines: { out: 4, err: 4 } };
};

const exhausts: Maker = (random) => {
  const code = random.int(1, 100);
  const retry = { maxAttempts: 2, delaySeconds: random.pick([0, 1]), on: ["USER_CODE"] };
  const stub = { ...stubLines(2), STUB_EXIT_CODE: String(code) };
  const script = `${write(1, 2)}; exit ${code}`;
  return { kind: "exhausts", script, stub, more: { retry }, verdict: failed(code, 2), lines: { out: 2, err: 2 } };
};

const overruns: Maker = (random) => {
  const deaf = random.chance(0.3);
  const script = `${deaf ? "trap '' TERM; " : ""}${write(1, 3)}; while :; do sleep 0.2; done`;
  const stub = { ...stubLines(3), STUB_DURATION_MS: "forever", STUB_ON_TERM: deaf ? "ignore" : "die" };
  const verdict = { status: "TIMED_OUT", category: "TIMEOUT", attempt: 1 } as const;
  return { kind: "overruns", script, stub, more: { timeoutSeconds: 1 }, verdict, lines: { out: 3, err: 3 } };
};

const cancelled: Maker = (random) => {
  const script = `${write(1, 3)}; while :; do sleep 0.2; done`;
  const stub = { ...stubLines(3), STUB_DURATION_MS: "forever" };
  const cancelAfterMs = random.pick([0, 20, 200, 1000, 3000]);
  return { kind: "cancelled", script, stub, verdict: null, lines: { out: 3, err: 3 }, cancelAfterMs };
};

/** Cancelled at about the time when it ends. */
const raced: Maker = (random) => {
  const script = `${write(1, 3)}; sleep 0.5`;
  const stub = { ...stubLines(3), STUB_DURATION_MS: "500" };
  return { kind: "raced", script, stub, lines: { out: 3, err: 3 }, cancelAfterMs: random.int(300, 1500) };
};

const secret: Maker = (random, { needles }) => {
  const reference = { CHAOS_TOKEN: { from: `env:${NEEDLE_VARIABLE}` } };
  const more = { env: { DB_PASSWORD: needles.inSpec }, secrets: reference };
  const said = `echo "said $DB_PASSWORD and $CHAOS_TOKEN"; printf %s "$CHAOS_TOKEN" | base64 >&2`;
  const script = `${write(1, 3)}; ${said}; sleep ${seconds(random.int(0, 500))}`;
  const stub = { ...stubLines(3), STUB_LINES: "1", STUB_STDERR: `err 1\nerr 2\nerr 3\nsaid ${needles.inSpec}` };
  return { kind: "secret", script, stub, more, lines: { out: 3, err: 3 } };
};

const keyed: Maker = (random) => {
  const ms = random.int(50, 300);
  const more = { concurrencyKey: `key-${random.int(1, 4)}` };
  const stub = { ...stubLines(2), STUB_DURATION_MS: String(ms) };
  return { kind: "keyed", script: `${write(1, 2)}; sleep ${seconds(ms)}`, stub, more, lines: { out: 2, err: 2 } };
};

const talkative: Maker = (random) => {
  const n = random.int(1000, 4000);
  const text = "x".repeat(120);
  const script = `awk 'BEGIN { for (i = 1; i <= ${n}; i++) print "out " i " ${text}" }'; echo "err 1" >&2`;
  return { kind: "talkative", script, stub: stubLines(n, 1), lines: { out: n, err: 1 } };
};

const MAKERS: readonly Maker[] = [
  quick,
  slow,
  fails,
  recovers,
  exhausts,
  overruns,
  cancelled,
  raced,
  secret,
  keyed,
  talkative,
];

const SHARE_OF_QUICK = 0.9;
const BRIEF: readonly Maker[] = [fails, recovers, exhausts, secret, keyed];

import fc from "fast-check";
import type { JobSpecInput } from "../../engine/spec/schema.ts";
import type { Status } from "../../engine/states.ts";

/** What one generated job asks for, and does. */
export interface JobPlan {
  runtime: "stub" | "stub-b";
  lane: string;
  priority: number;
  key: string | null;
  cleanup: "always" | "onSuccess" | "never";
  timeoutSeconds: number;
  graceSeconds: number;
  maxAttempts: number;
  delaySeconds: number;
  retryUserCode: boolean;
  secret: "none" | "token" | null;
  durationMs: number | "forever";
  exitCode: number;
  lines: number;
  onTerm: "die" | "end" | "ignore";
  fail: "IMAGE_PULL" | "RUNTIME_UNAVAILABLE" | "UNKNOWN" | "VALIDATION" | null;
  endWith: "OOM" | null;
  failAttempts: number;
}

/** What happens now and then only. */
const rarely = <T>(...values: T[]) =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom(...values) });

export const jobPlan: fc.Arbitrary<JobPlan> = fc.record({
  runtime: fc.constantFrom("stub" as const, "stub" as const, "stub-b" as const),
  lane: fc.constantFrom("a", "a", "b", "c"),
  priority: fc.constantFrom(0, 0, 10, -10),
  key: fc.constantFrom(null, null, "k", "l"),
  cleanup: fc.constantFrom("always" as const, "always" as const, "onSuccess" as const, "never" as const),
  timeoutSeconds: fc.constantFrom(3, 60, 3600),
  graceSeconds: fc.constantFrom(0, 10),
  maxAttempts: fc.constantFrom(1, 2, 3),
  delaySeconds: fc.constantFrom(0, 5, 60),
  retryUserCode: fc.boolean(),
  secret: fc.constantFrom(null, null, null, "token" as const, "none" as const),
  durationMs: fc.constantFrom<number | "forever">(0, 0, 50, 2000, 5000, 45_000, "forever", "forever"),
  exitCode: fc.constantFrom(0, 0, 0, 1, 143),
  lines: fc.constantFrom(0, 0, 3),
  onTerm: fc.constantFrom("die" as const, "end" as const, "ignore" as const),
  fail: rarely("IMAGE_PULL" as const, "RUNTIME_UNAVAILABLE" as const, "UNKNOWN" as const, "VALIDATION" as const),
  endWith: rarely("OOM" as const),
  failAttempts: fc.constantFrom(1, 100),
});

/** What a plan differs in from the simplest, for people to read. */
export function planText(plan: JobPlan): string {
  const parts = Object.entries(plan).filter(([name, value]) => value !== SIMPLEST[name as keyof JobPlan]);
  return parts.map(([name, value]) => `${name}=${value}`).join(" ");
}

const SIMPLEST: JobPlan = {
  runtime: "stub",
  lane: "a",
  priority: 0,
  key: null,
  cleanup: "always",
  timeoutSeconds: 3600,
  graceSeconds: 0,
  maxAttempts: 1,
  delaySeconds: 0,
  retryUserCode: false,
  secret: null,
  durationMs: 0,
  exitCode: 0,
  lines: 0,
  onTerm: "die",
  fail: null,
  endWith: null,
  failAttempts: 1,
};

/** A job whose attempts are over soon, and which fails as often as it may. */
export const SHORT_LIVED: JobPlan = { ...SIMPLEST, exitCode: 1, maxAttempts: 2, retryUserCode: true };

/** The spec that a plan submits; the label tells whose it is. */
export function specOf(plan: JobPlan, label: string): JobSpecInput {
  const { runtime, lane, priority, cleanup, timeoutSeconds, maxAttempts, delaySeconds } = plan;
  const env: Record<string, string> = {
    STUB_DURATION_MS: String(plan.durationMs),
    STUB_EXIT_CODE: String(plan.exitCode),
    STUB_LINES: String(plan.lines),
    // Too long for the ledger: the log goes to the object store.
    ...(plan.lines === 0 ? {} : { STUB_STDERR: "x".repeat(2100) }),
    STUB_ON_TERM: plan.onTerm,
    STUB_FAIL_ATTEMPTS: String(plan.failAttempts),
  };
  if (plan.fail !== null) env.STUB_FAIL = plan.fail;
  if (plan.endWith !== null) env.STUB_END_WITH = plan.endWith;
  const on = ["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"] as const;
  return {
    name: "model",
    image: "model",
    runtime,
    lane,
    priority,
    cleanup,
    timeoutSeconds,
    stopGraceSeconds: plan.graceSeconds,
    retry: { maxAttempts, delaySeconds, on: plan.retryUserCode ? [...on, "USER_CODE"] : [...on] },
    labels: { submit: label },
    env,
    ...(plan.key === null ? {} : { concurrencyKey: plan.key }),
    ...(plan.secret === null ? {} : { secrets: { API_TOKEN: { from: `vault:${plan.secret}` } } }),
  };
}

export interface Expected {
  status: Status;
  attempts: number;
  /** The category of the error; null when there is none. */
  category: string | null;
}

/** How a job ends that nobody disturbs. */
export function expectedOf(plan: JobPlan): Expected {
  const retried = new Set([
    "IMAGE_PULL",
    "RUNTIME_UNAVAILABLE",
    "UNKNOWN",
    ...(plan.retryUserCode ? ["USER_CODE"] : []),
  ]);
  for (let attempt = 1; ; attempt++) {
    const category = categoryOf(plan, attempt);
    if (category === null) return { status: "SUCCEEDED", attempts: attempt, category };
    if (attempt < plan.maxAttempts && retried.has(category)) continue;
    return { status: category === "TIMEOUT" ? "TIMED_OUT" : "FAILED", attempts: attempt, category };
  }
}

function categoryOf(plan: JobPlan, attempt: number): string | null {
  const fails = attempt <= plan.failAttempts;
  if (plan.secret === "none") return "NOT_FOUND";
  if (plan.fail !== null && fails) return plan.fail;
  const { durationMs } = plan;
  if (durationMs === "forever" || durationMs > plan.timeoutSeconds * 1000) return "TIMEOUT";
  if (plan.endWith !== null && fails) return plan.endWith;
  return plan.exitCode === 0 ? null : "USER_CODE";
}

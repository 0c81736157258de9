import type { Path } from "./life.ts";

/** A sensitive value that came in plain. */
export const PLAIN = "plain-6f1c9d0b7e";

const env = { DB_PASSWORD: PLAIN, STUB_STDOUT: `one\nsays ${PLAIN}` };
/** Too long for the ledger: a log with such a line goes to the object store. */
const LONG = "x".repeat(2100);
const secrets = { API_TOKEN: { from: "ssm:/longshore/faults/token" } };
const common = { name: "nightly", runtime: "stub" as const, concurrencyKey: "k", secrets };

/** How a job that nothing disturbs goes, and how it must end whatever does. */
export interface Course extends Path {
  ends: { status: string; attempt: number };
  /** Its log, over all attempts. */
  lines: string[];
}

export const COURSES = {
  "runs and ends": {
    spec: {
      ...common,
      env: { ...env, STUB_STDERR: LONG, STUB_DURATION_MS: "forever", STUB_ON_TERM: "end" },
    },
    pushes: true,
    afterStart: "it ends",
    ends: { status: "SUCCEEDED", attempt: 1 },
    lines: ["one", "says ***REDACTED***", LONG, "bye"],
  },
  "fails once and is retried": {
    spec: {
      ...common,
      env: { ...env, STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" },
      retry: { maxAttempts: 2, delaySeconds: 30, on: ["UNKNOWN"] },
    },
    pushes: false,
    afterStart: "nothing",
    ends: { status: "SUCCEEDED", attempt: 2 },
    lines: ["one", "says ***REDACTED***", "one", "says ***REDACTED***"],
  },
  "is cancelled": {
    spec: { ...common, env: { ...env, STUB_DURATION_MS: "forever" } },
    pushes: true,
    afterStart: "cancel",
    ends: { status: "CANCELLED", attempt: 1 },
    lines: ["one", "says ***REDACTED***"],
  },
  "runs on ECS": {
    spec: {
      ...{
        name: "nightly",
        runtime: "ecs",
        image: "busybox:1",
        concurrencyKey: "k",
        secrets,
        timeoutSeconds: 2_000_000,
      },
      ...{ command: ["/bin/sh", "-c"], args: ['echo one; echo "says $DB_PASSWORD"'], env: { DB_PASSWORD: PLAIN } },
      resources: { cpu: 0.25, memoryMiB: 512 },
    },
    pushes: true,
    afterStart: "nothing",
    ends: { status: "SUCCEEDED", attempt: 1 },
    lines: ["one", "says ***REDACTED***"],
  },
} satisfies Record<string, Course>;

export type CourseName = keyof typeof COURSES;

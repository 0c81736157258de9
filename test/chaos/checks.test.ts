import { describe, expect, it } from "vitest";
import type { Job, JobEvent, LogLine } from "../scenarios/contract.ts";
import { type Account, type Finding, type Findings, judgeFindings } from "./checks.ts";
import type { Plan } from "./jobs.ts";

const JOB = "job_00000000000000000000000001";
const OTHER = "job_00000000000000000000000002";
const LIFE = ["SUBMITTED", "ADMITTED", "VALIDATED", "CONTAINER_CREATING", "STARTED", "EXITED", "LOGS_COLLECTED"];
const GOOD = [...LIFE, "COST_RECORDED", "SUCCEEDED", "CLEANED_UP"];
const FAILED = [...LIFE, "COST_RECORDED", "DEAD_LETTERED", "FAILED", "CLEANED_UP"];

function plan(more: Partial<Plan> = {}): Plan {
  const verdict = { status: "SUCCEEDED", category: null, exitCode: 0, attempt: 1 } as const;
  return { id: "chaos-1", kind: "quick", spec: {}, verdict, lines: { out: 2, err: 1 }, cancelAfterMs: null, ...more };
}

function eventsOf(types: readonly string[], more: Partial<JobEvent> = {}): JobEvent[] {
  return types.map((type, index) => {
    const data = type === "EXITED" ? { exitCode: 0, oom: false, failure: null } : {};
    return { jobId: JOB, seq: index + 1, type, at: "", attempt: 1, status: "", phase: null, data, ...more };
  });
}

function linesOf(...texts: string[]): LogLine[] {
  return texts.map((text, index) => {
    const stream = text.startsWith("out") ? "stdout" : text.startsWith("err") ? "stderr" : "system";
    return { seq: index + 1, time: "", stream, text, attempt: 1 };
  });
}

interface Changes {
  plan?: Partial<Plan>;
  job?: Partial<Job>;
  events?: JobEvent[];
  lines?: LogLine[];
  cancel?: Finding["cancel"];
}

/** A job as it should be, with what is changed about it. */
function finding({ plan: planned, job = {}, events, lines, cancel = null }: Changes = {}): Finding {
  const attempts = [{ startedAt: "2026-01-01T00:00:01.000Z", finishedAt: "2026-01-01T00:00:02.000Z" }];
  const whole = { jobId: JOB, status: "SUCCEEDED", attempt: 1, exitCode: 0, error: null, externalName: "x", attempts };
  const account: Account = {
    job: { ...whole, ...job } as Job,
    events: events ?? eventsOf(GOOD),
    lines: lines ?? linesOf("out 1", "err 1", "out 2"),
  };
  return { plan: plan(planned), jobId: job.jobId ?? JOB, cancel, account };
}

/** What would be found if all went well, with what is changed about it. */
function findings(more: Partial<Findings> = {}): Findings {
  const jobs = more.jobs ?? [finding()];
  const nothing = { misanswered: [], left: [], leaks: [], counters: [], misbehaved: [], deadLetters: [] };
  const starts = jobs.map(({ jobId }) => ({ jobId, attempt: 1 }));
  return { ...nothing, jobs, listed: jobs.map(({ jobId }) => jobId), starts, forgetful: false, ...more };
}

/** The checks that object, with how often. */
function objections(found: Findings): Record<string, number> {
  const failed = judgeFindings(found).filter(({ faults }) => faults.length > 0);
  return Object.fromEntries(failed.map(({ name, faults }) => [name, faults.length]));
}

const one = (changes: Changes) => findings({ jobs: [finding(changes)] });
const failure = (category: string, providerCode: string | null = null) => ({
  category,
  message: "m",
  retryable: false,
  providerCode,
  exitCode: null,
});
const VERDICTS = "wrong verdicts";
const EVENTS = "gaps and slips in the events";
const ENDS = "jobs without exactly one end";
const LOGS = "logs that are not whole";

describe("the checks of a run of chaos", () => {
  it("have nothing against a run in which all went well", () => {
    expect(objections(findings())).toEqual({});
  });

  it.each<[string, Findings]>([
    ["accepted jobs lost", findings({ jobs: [{ ...finding(), account: undefined }] })],
    ["jobs that nobody submitted", findings({ listed: [JOB, OTHER] })],
    ["jobs that nobody submitted", findings({ listed: [JOB, JOB] })],
    ["jobs that nobody submitted", findings({ listed: [] })],
    ["submissions answered wrongly", findings({ misanswered: ["chaos-1 was accepted as a and then as b"] })],
    ["double starts in one attempt", findings({ starts: Array(2).fill({ jobId: JOB, attempt: 1 }) })],
    ["recorded starts that nobody saw", findings({ starts: [] })],
    ["recorded starts that nobody saw", findings({ starts: [{ jobId: JOB, attempt: 2 }] })],
    ["dead letters missing or too many", findings({ deadLetters: [JOB] })],
    ["resources left behind", findings({ left: ["process 1"] })],
    ["secret values found", findings({ leaks: ["the file ledger.db"] })],
    ["counters of the ledger not zero", findings({ counters: ["QUEUE#0 COUNT: count is 1"] })],
    ["misbehaviour of the home", findings({ misbehaved: ["the home had ended by itself"] })],
  ])("find %s", (name, found) => {
    expect(objections(found)).toEqual({ [name]: 1 });
  });

  it("find a job that did not end, which has no end among its events either", () => {
    const found = one({ job: { status: "RUNNING" }, events: eventsOf(LIFE) });
    expect(objections(found)).toMatchObject({ "jobs that did not end": 1, [ENDS]: 2 });
  });

  it.each<[string, Changes]>([
    ["another exit code", { job: { exitCode: 1 } }],
    ["another attempt", { job: { attempt: 2 } }],
    ["another category", { job: { error: failure("OOM") } }],
    ["a cancel that nobody asked for", { job: { status: "CANCELLED" }, events: eventsOf([...LIFE, "CANCELLED"]) }],
    ["a cancel that was accepted and forgotten", { cancel: "accepted" }],
    ["an end of what has none", { plan: { verdict: null } }],
  ])("find a wrong verdict: %s", (_, changes) => {
    expect(objections(one(changes))).toHaveProperty([VERDICTS], 1);
  });

  it("take a cancelled job for right when a cancel may have been accepted", () => {
    const events = eventsOf([...LIFE, "CANCELLED", "CLEANED_UP"]);
    for (const cancel of ["accepted", "unsure"] as const) {
      expect(objections(one({ job: { status: "CANCELLED", exitCode: 143 }, events, cancel }))).toEqual({});
    }
    expect(objections(one({ job: { status: "CANCELLED" }, events, cancel: "refused" }))).toEqual({ [VERDICTS]: 1 });
  });

  it("forgive a lost job only to a home that forgets what runs", () => {
    const error = failure("RUNTIME_UNAVAILABLE", "LOST");
    const changes = { job: { status: "FAILED", exitCode: null, error }, events: eventsOf(FAILED), lines: [] };
    const found = { ...one(changes), deadLetters: [JOB] };
    expect(objections(found)).toMatchObject({ [VERDICTS]: 1 });
    expect(objections({ ...found, forgetful: true })).toEqual({});
  });

  it.each<[string, JobEvent[]]>([
    ["a gap", eventsOf(GOOD).filter(({ type }) => type !== "ADMITTED")],
    ["a doublet", eventsOf(GOOD).flatMap((event) => (event.type === "EXITED" ? [event, event] : [event]))],
    [
      "something a second time in one attempt",
      eventsOf(GOOD.flatMap((type) => (type === "EXITED" ? [type, type] : type))),
    ],
    ["a step back to an earlier attempt", [...eventsOf(["SUBMITTED"], { attempt: 2 }), ...eventsOf(GOOD).slice(1)]],
    ["something after the end", eventsOf([...GOOD.slice(0, -1), "RECONCILED", "CLEANED_UP"])],
  ])("find in the events %s", (_, events) => {
    expect(objections(one({ events }))).toHaveProperty([EVENTS]);
  });

  it.each<[string, JobEvent[]]>([
    ["no end", eventsOf([...LIFE, "COST_RECORDED", "CLEANED_UP"])],
    ["two ends", eventsOf([...LIFE, "SUCCEEDED", "FAILED", "CLEANED_UP"])],
    ["another end than the job's", eventsOf([...LIFE, "TIMED_OUT", "CLEANED_UP"])],
    ["no clean-up", eventsOf(GOOD.slice(0, -1))],
  ])("find in the events %s", (_, events) => {
    expect(objections(one({ events }))).toHaveProperty([ENDS]);
  });

  it.each<[string, LogLine[]]>([
    ["that lost its end", linesOf("out 1", "err 1")],
    ["that lost its beginning", linesOf("out 2", "err 1")],
    ["with a line twice", linesOf("out 1", "out 1", "err 1", "out 2")],
    ["with two lines swapped", linesOf("out 2", "out 1", "err 1")],
    ["that lost a stream", linesOf("out 1", "out 2")],
    ["with a number left out", linesOf("out 1", "err 1", "out 2").map((line) => ({ ...line, seq: line.seq * 2 }))],
    ["that says that it is not whole", linesOf("out 1", "err 1", "out 2", "the rest could not be read")],
  ])("find a log %s", (_, lines) => {
    expect(objections(one({ lines }))).toEqual({ [LOGS]: 1 });
  });

  it("want of a log that was cut off by a stop only that it has no holes", () => {
    const stopped: Changes = {
      job: { status: "CANCELLED" },
      events: eventsOf([...LIFE, "CANCELLED", "CLEANED_UP"]),
      cancel: "accepted",
    };
    expect(objections(one({ ...stopped, lines: linesOf("out 1") }))).toEqual({});
    expect(objections(one({ ...stopped, lines: linesOf("out 2") }))).toEqual({ [LOGS]: 1 });
  });

  it("want a dead letter of a job that failed for good", () => {
    const verdict = { status: "FAILED", category: "USER_CODE", exitCode: 0, attempt: 1 } as const;
    const changes = { plan: { verdict }, job: { status: "FAILED", error: failure("USER_CODE") } };
    const found = one({ ...changes, events: eventsOf(FAILED) });
    expect(objections(found)).toEqual({ "dead letters missing or too many": 1 });
    expect(objections({ ...found, deadLetters: [JOB] })).toEqual({});
  });

  it("find two jobs at once with one concurrency key", () => {
    const spec = { concurrencyKey: "k" };
    const at = (from: number, to: number) => ({
      attempts: [{ startedAt: `2026-01-01T00:00:0${from}.000Z`, finishedAt: `2026-01-01T00:00:0${to}.000Z` }],
    });
    const pair = (from: number, key = "k") => [
      finding({ plan: { spec }, job: at(1, 3) as Partial<Job> }),
      finding({ plan: { spec: { concurrencyKey: key } }, job: { jobId: OTHER, ...at(from, 5) } as Partial<Job> }),
    ];
    expect(objections(findings({ jobs: pair(2) }))).toEqual({ "concurrency keys held twice": 1 });
    expect(objections(findings({ jobs: pair(3) }))).toEqual({});
    expect(objections(findings({ jobs: pair(2, "other") }))).toEqual({});
  });
});

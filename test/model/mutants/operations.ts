import type { Mutant } from "./mutant.ts";

/** Broken use cases. */
export const OPERATION_MUTANTS: readonly Mutant[] = [
  {
    name: "token-before-commit",
    breaks: "the token is completed before the end is on record",
    search: "const { life } = await advance(ctx.ledger, jobId, exit);",
    replace:
      "const early = await readLife(ctx.ledger, jobId);\n  await completeToken(ctx, early?.attempt?.token ?? null);\n  const { life } = await advance(ctx.ledger, jobId, exit);",
  },
  {
    name: "started-before-token-stored",
    breaks: "the runtime is asked before the token is durable",
    search: "  const { life, effects } = await advance(ctx.ledger, jobId, { move, extras: masks, known: before });",
    replace:
      "  if (!(prepared instanceof LongshoreError)) await ctx.runtimes.get(before.job.runtime).submit({ ...prepared.launch, report: () => undefined, confirm: async () => undefined }, new AbortController().signal);\n  const { life, effects } = await advance(ctx.ledger, jobId, { move, extras: masks, known: before });",
  },
  {
    name: "submitted-again",
    breaks: "an attempt whose start is on record is submitted again",
    search: "if (life.attempt?.externalRef) return resume(ctx, life);",
    replace: "",
  },
  {
    name: "started-unconfirmed",
    breaks: "nobody asks, once the resource is made, whether its attempt has ended meanwhile",
    search: "if (life !== undefined && mayStart(life, execution)) return;",
    replace: "if (life !== undefined || mayStart !== undefined) return;",
  },
  {
    name: "confirmed-for-the-overtaken",
    breaks: "an execution that was overtaken may start what it has made",
    search: "if (!isCurrent(life.job, execution) || isToEnd(life)) return false;",
    replace: "if (execution.attempt === 0 || isCurrent === undefined || isToEnd(life)) return false;",
  },
  {
    name: "answer-lost-is-never-started",
    breaks: "a launch whose answer was lost counts as one that never began",
    search: "const mayRun = begun && (aborted || !CERTAIN.has(thrown.code));",
    replace: "const mayRun = false;",
  },
  {
    name: "cancel-before-start-forgotten",
    breaks: "a cancel that came before the dispatch does not keep it from starting, nor does one that came in between",
    search: "return job.cancelRequestedAt !== null || attempt?.stop != null;",
    replace: 'return job.jobId === "" || attempt?.stop != null;',
  },
  {
    name: "finalized-while-it-runs",
    breaks: "an attempt that Run gave up on is not stopped before it is ended",
    search: "await stopAttempt(ctx, jobId, attempt);\n  await observeExit(ctx, job);",
    replace: 'await (await import("./observe.ts")).neverStarted(ctx, job, null);',
  },
  {
    name: "finished-by-the-older-record",
    breaks: "a cancel that comes while the logs are collected is overlooked",
    search: "retry && now.job.cancelRequestedAt === null",
    replace: "retry",
  },
  {
    name: "cleaned-before-the-verdict",
    breaks: "the resource is removed before its logs and its verdict are durable",
    search: "const { tail, ...logs } = await collectLogs(ctx, { job, attempt }, spec.logs.maxBytes);",
    replace:
      "if (attempt.externalRef !== null) await ctx.runtimes.get(job.runtime).cleanup(attempt.externalRef);\n  const { tail, ...logs } = await collectLogs(ctx, { job, attempt }, spec.logs.maxBytes);",
  },
  {
    name: "cleanup-recorded-but-not-done",
    breaks: "the clean-up is on record before it is done",
    search:
      'if (externalRef !== undefined) await runtime.cleanup(externalRef);\n  const move: Occurrence = { type: "CLEAN", attempt: job.attempt };\n  await advance(ctx.ledger, job.jobId, { move, known: { job, attempt } });',
    replace:
      'const move: Occurrence = { type: "CLEAN", attempt: job.attempt };\n  await advance(ctx.ledger, job.jobId, { move, known: { job, attempt } });\n  if (externalRef !== undefined) await runtime.cleanup(externalRef);',
  },
  {
    name: "parked-never-woken",
    breaks: "nobody wakes a job that waits behind its key",
    search: "for await (const key of keys ?? parkedKeys(ctx.ledger, runtime)) await unpark(ctx.ledger, runtime, key);",
    replace:
      'if (keys !== undefined && runtime === "") for await (const key of parkedKeys(ctx.ledger, runtime)) await unpark(ctx.ledger, runtime, key);',
  },
  {
    name: "reconciler-does-not-admit",
    breaks: "a job whose submission the feed lost waits for ever",
    search: "await step(sweep, name, () => admitWaiting(ctx, name));",
    replace: "",
  },
  {
    name: "orphan-sweep-of-the-current",
    breaks: "the orphan sweep removes what a running attempt has just started",
    search: "if (!STARTED.has(stage) || job.externalRef === null) return false;",
    replace: "if (!STARTED.has(stage) || job.externalRef === null) return true;",
  },
  {
    name: "lost-completion-not-repeated",
    breaks: "a lost token completion is never repeated",
    search: "return token !== null && (await ctx.orchestrator.complete(token));",
    replace: 'return token === "";',
  },
  {
    name: "retry-not-taken-up",
    breaks: "a retry whose execution was lost while it waited is never requeued",
    search: "if (due) await requeue(ctx, job.jobId, job.attempt);",
    replace: "",
  },
  {
    name: "stopped-launch-not-settled",
    breaks: "a launch that died is taken for one that is still under way when it is to be stopped",
    search: "if (ctx.inflight.abort(jobId, CANCELLED)) return;",
    replace: "ctx.inflight.abort(jobId, CANCELLED);\n  return;",
  },
  {
    name: "bus-skips-what-it-refused",
    breaks: "an event that the bus did not take is not sent again",
    search: "return [...new Set(told.filter((_, at) => !hasLeft(at)).map(({ position }) => position))];",
    replace: "return failed.size > told.length ? [0] : [];",
  },
  {
    name: "token-not-completed",
    breaks: "whoever observes the end of an attempt does not tell its execution",
    search: "await completeToken(ctx, life.attempt?.token ?? null);",
    replace: "if (life.attempt === null) await completeToken(ctx, null);",
  },
  {
    name: "orphans-not-removed",
    breaks: "the orphan sweep finds and leaves them",
    search: "await look.runtime.cleanup(owned.ref);",
    replace: "",
  },
  {
    name: "lost-cancel-not-repeated",
    breaks: "a cancel whose news were lost does not stop what runs",
    search: "isToEnd(life)) {\n    stopInBackground",
    replace: "isToEnd({ ...life, job: { ...job, cancelRequestedAt: null } })) {\n    stopInBackground",
  },
  {
    name: "ended-while-it-is-dispatched",
    breaks: "an attempt that is dispatched in that moment is recorded as never started",
    search: '(stageOf(job) === "admitted" ? exit : null)',
    replace: "(job.attempt === attempt ? exit : null)",
  },
  {
    name: "accepted-batch-forgotten",
    breaks: "an accepted batch whose record the feed lost is never published",
    search: 'await step(sweep, "batches", () => publishAccepted(ctx.ledger));',
    replace: "",
  },
];

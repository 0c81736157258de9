import type { Mutant } from "./mutant.ts";

/** Broken use cases. */
export const OPERATION_MUTANTS: readonly Mutant[] = [
  {
    name: "token-before-commit",
    breaks: "the token is completed before the end is on record",
    file: "engine/operations/observe.ts",
    search: "const { life } = await advance(ctx.ledger, jobId, exit);",
    replace:
      "const early = await readLife(ctx.ledger, jobId);\n  await completeToken(ctx, early?.attempt?.token ?? null);\n  const { life } = await advance(ctx.ledger, jobId, exit);",
  },
  {
    name: "token-never-completed",
    breaks: "nobody completes the token of a run that was stored after the end",
    file: "engine/operations/launch.ts",
    search: "if (effects.includes(\"complete-token\")) return completeToken(ctx, token);",
    replace: "if (effects.includes(\"complete-token\")) return;",
  },
  {
    name: "started-before-token-stored",
    breaks: "the runtime is asked before the token is durable",
    file: "engine/operations/launch.ts",
    search: "  const { life, effects } = await advance(ctx.ledger, jobId, { move: occurrence, extras: masks, known: before });",
    replace:
      "  if (!(prepared instanceof LongshoreError)) await ctx.runtimes.get(before.job.runtime).submit({ ...prepared.launch, report: () => undefined }, new AbortController().signal);\n  const { life, effects } = await advance(ctx.ledger, jobId, { move: occurrence, extras: masks, known: before });",
  },
  {
    name: "submitted-again",
    breaks: "an attempt whose start is on record is submitted again",
    file: "engine/operations/launch.ts",
    search: "if (life.attempt?.externalRef) return resume(ctx, life);",
    replace: "",
  },
  {
    name: "answer-lost-is-never-started",
    breaks: "a launch whose answer was lost counts as one that never began",
    file: "engine/operations/launch.ts",
    search: "const mayRun = begun && (aborted || !CERTAIN.has(thrown.code));",
    replace: "const mayRun = false;",
  },
  {
    name: "cancel-before-start-forgotten",
    breaks: "a cancel that came before the dispatch does not keep it from starting",
    file: "engine/operations/launch.ts",
    search: "if (life.job.cancelRequestedAt !== null || life.attempt?.stop) return stopAttempt(ctx, jobId, attempt);",
    replace: "",
  },
  {
    name: "orphan-of-an-ended-attempt",
    breaks: "what was started after its attempt had ended is left",
    file: "engine/operations/launch.ts",
    search: "if (endedWithout(life, { attempt, externalRef })) return await runtime.cleanup(externalRef);",
    replace: "",
  },
  {
    name: "finalized-while-it-runs",
    breaks: "an attempt that Run gave up on is not stopped before it is ended",
    file: "engine/operations/finalize.ts",
    search: "await stopAttempt(ctx, jobId, attempt);\n  await observeExit(ctx, job);",
    replace: "await neverStarted(ctx, job, null);",
  },
  {
    name: "finished-by-the-older-record",
    breaks: "a cancel that comes while the logs are collected is overlooked",
    file: "engine/operations/finalize.ts",
    search: "retry && now.job.cancelRequestedAt === null",
    replace: "retry",
  },
  {
    name: "cleaned-before-the-verdict",
    breaks: "the resource is removed before its logs and its verdict are durable",
    file: "engine/operations/finalize.ts",
    search: "const logs = await collectLogs(ctx, { job, attempt }, spec.logs.maxBytes);",
    replace:
      "if (attempt.externalRef !== null) await ctx.runtimes.get(job.runtime).cleanup(attempt.externalRef);\n  const logs = await collectLogs(ctx, { job, attempt }, spec.logs.maxBytes);",
  },
  {
    name: "cleanup-recorded-but-not-done",
    breaks: "the clean-up is on record before it is done",
    file: "engine/operations/finalize.ts",
    search: "if (externalRef !== undefined) await runtime.cleanup(externalRef);\n  const move: Occurrence = { type: \"CLEAN\", attempt: job.attempt };\n  await advance(ctx.ledger, job.jobId, { move, known: { job, attempt } });",
    replace:
      "const move: Occurrence = { type: \"CLEAN\", attempt: job.attempt };\n  await advance(ctx.ledger, job.jobId, { move, known: { job, attempt } });\n  if (externalRef !== undefined) await runtime.cleanup(externalRef);",
  },
  {
    name: "lost-start-not-looked-for",
    breaks: "what a lost launch left is not looked for by name",
    file: "engine/operations/finalize.ts",
    search: "(name === \"\" ? undefined : await runtime.find(name))",
    replace: "undefined",
  },
  {
    name: "parked-never-woken",
    breaks: "nobody wakes a job that waits behind its key",
    file: "engine/operations/admit.ts",
    search: "for await (const key of keys ?? parkedKeys(ctx.ledger, runtime)) await unpark(ctx.ledger, runtime, key);",
    replace: "if (keys !== undefined && runtime === \"\") for await (const key of parkedKeys(ctx.ledger, runtime)) await unpark(ctx.ledger, runtime, key);",
  },
  {
    name: "reconciler-does-not-admit",
    breaks: "a job whose submission the feed lost waits for ever",
    file: "engine/operations/reconcile.ts",
    search: "await attempt(report, runtime.name, () => admitWaiting(ctx, runtime.name));",
    replace: "",
  },
  {
    name: "orphan-sweep-of-the-current",
    breaks: "the orphan sweep removes what a running attempt has just started",
    file: "engine/operations/reconcile.ts",
    search: "if (job.attempt !== number) return true;",
    replace: "if (job.attempt !== number || attempt?.externalRef == null) return true;",
  },
  {
    name: "lost-completion-not-repeated",
    breaks: "a lost token completion is never repeated",
    file: "engine/operations/reconcile.ts",
    search: "return token !== null && (await ctx.orchestrator.complete(token));",
    replace: "return token === \"\";",
  },
  {
    name: "retry-not-taken-up",
    breaks: "a retry whose execution was lost while it waited is never requeued",
    file: "engine/operations/reconcile.ts",
    search: "if (due) await requeue(ctx, job.jobId, job.attempt);",
    replace: "",
  },
  {
    name: "stopped-launch-not-settled",
    breaks: "a launch that died is taken for one that is still under way when it is to be stopped",
    file: "engine/operations/stop.ts",
    search: "if (ctx.inflight.abort(jobId, CANCELLED)) return;",
    replace: "ctx.inflight.abort(jobId, CANCELLED);\n  return;",
  },
  {
    name: "bus-skips-what-it-refused",
    breaks: "an event that the bus did not take is not sent again",
    file: "engine/operations/publish.ts",
    search: "return events.filter((_, i) => failed.has(entries[i]?.id ?? \"\")).map(({ position }) => position);",
    replace: "return failed.size > events.length ? [0] : [];",
  },
];

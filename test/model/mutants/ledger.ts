import type { Mutant } from "./mutant.ts";

/** Broken conditional writes. */
export const LEDGER_MUTANTS: readonly Mutant[] = [
  {
    name: "no-version-guard",
    breaks: "two parties that saw the same job both write it",
    search: "item: jobItem(after.job), guard: { equals: { version: before.job.version } } }",
    replace: "item: jobItem(after.job) }",
  },
  {
    name: "slot-freed-apart",
    breaks: "the freed slot is not in the commit that frees it",
    search: "if (before.slotShard !== null) {",
    replace: 'if (before.slotShard !== null && after.status === "RETRYING") {',
  },
  {
    name: "key-kept-over-retry",
    breaks: "the concurrency key is not freed for a retry",
    search: "if (before.concurrencyKey !== null) changes.push(add(concurrencyKey(before.concurrencyKey), -1));",
    replace:
      'if (before.concurrencyKey !== null && after.status !== "RETRYING") changes.push(add(concurrencyKey(before.concurrencyKey), -1));',
  },
  {
    name: "slot-bound-off-by-one",
    breaks: "one job too many gets a slot",
    search: "after.slotShard), 1, bound - 1)",
    replace: "after.slotShard), 1, bound)",
  },
  {
    name: "key-bound-forgotten",
    breaks: "a concurrency key lets any number of jobs run",
    search: "changes.push(add(concurrencyKey(key), 1, limits.maxPerKey(key) - 1));",
    replace: "changes.push(add(concurrencyKey(key), 1));",
  },
  {
    name: "conflict-decided-again-on-old-news",
    breaks: "after a conflict the job is not read again",
    search: "tries === 1 && known !== undefined",
    replace: "known !== undefined",
  },
  {
    name: "queue-bound-off-by-one",
    breaks: "a submit is let in when the queue is full",
    search: "guard: { atMost: { count: bound - jobs } }",
    replace: "guard: { atMost: { count: bound - jobs + 1 } }",
  },
  {
    name: "idempotency-not-guarded",
    breaks: "a second submission under one key overwrites the first",
    search: "digest, jobIds, ttl }, guard: { exists: false } };",
    replace: "digest, jobIds, ttl } };",
  },
  {
    name: "idempotency-written-before",
    breaks: "the idempotency record is a commit of its own, before the jobs",
    search: "await ledger.table.commit([reservation, ...remembered, ...changes]);",
    replace:
      'if (remembered.length > 0) await ledger.table.commit(remembered);\n      await ledger.table.commit([reservation, { kind: "check", key: batchKey("none"), guard: {} }, ...changes]);',
  },
  {
    name: "sealed-spec-for-ever",
    breaks: "the sealed spec of an ended job never expires",
    search: 'changes.push({ kind: "patch", key: sealedKey(jobId), set: { ttl } });',
    replace: "",
  },
  {
    name: "parked-without-looking",
    breaks: "a job is parked behind a key that has just been freed",
    search: "guard: { equals: { count: inUse } }",
    replace: "guard: {}",
  },
  {
    name: "parked-still-counts",
    breaks: "a parked job still counts as waiting in its lane",
    search: "queueShard === null || parked ? []",
    replace: "queueShard === null ? []",
  },
  {
    name: "lane-forgotten-in-use",
    breaks: "the counter of a lane is removed while a job comes to it",
    search: 'commit([{ kind: "delete", key: { pk, sk }, guard }])',
    replace: 'commit([{ kind: "delete", key: { pk, sk } }])',
  },
  {
    name: "replayed-twice",
    breaks: "a dead letter can be replayed by two at once",
    search: "guard: { exists: true, equals: { replayed: false } }",
    replace: "guard: { exists: true }",
  },
  {
    name: "masks-kept",
    breaks: "the values to mask outlive the resource",
    search: 'changes.push({ kind: "delete", key: masksKey(jobId, after.job.attempt) });',
    replace: "",
  },
];

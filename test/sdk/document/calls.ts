import * as examples from "../../../functions/api/examples.ts";
import type { OPERATIONS } from "../../../functions/api/operations.ts";
import type { LongshoreClient } from "../../../sdk/client.ts";

type Name = keyof typeof OPERATIONS;

/** `jobs.submit` for a method of a group, `health` for one of the client itself. */
type Method = {
  [K in keyof LongshoreClient & string]: LongshoreClient[K] extends (...args: never[]) => unknown
    ? K
    : `${K}.${keyof LongshoreClient[K] & string}`;
}[keyof LongshoreClient & string];

/** One call of a method of the client, and the operation that it has to be. */
export interface ClientCall {
  operation: Name;
  status?: number;
  call(client: LongshoreClient): Promise<unknown> | AsyncGenerator<unknown, void>;
  /** What the method makes of the answer; default: all of it. An item of a list is what it gives for each. */
  gives?: "items" | "each" | "nothing" | "text" | "lines" | "bytes";
}

const { ARTIFACT, SPEC, JOB, FAILED_JOB_ID, DEAD_LETTER } = examples;
const { jobId } = JOB;
const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "a=b" };
const key = { idempotencyKey: "key-1", trace };

/** Every method of the client, with all that can be asked of it. */
export const CALLS: Readonly<Record<Method, ClientCall>> = {
  "jobs.submit": { operation: "POST /v1/jobs", status: 202, call: ({ jobs }) => jobs.submit(SPEC, key) },
  "jobs.submitBatch": {
    operation: "POST /v1/jobs/batch",
    status: 202,
    call: ({ jobs }) => jobs.submitBatch([SPEC], key),
    gives: "items",
  },
  "jobs.dryRun": { operation: "POST /v1/jobs", call: ({ jobs }) => jobs.dryRun(SPEC) },
  "jobs.get": { operation: "GET /v1/jobs/{id}", call: ({ jobs }) => jobs.get(jobId) },
  "jobs.list": { operation: "GET /v1/jobs", call: ({ jobs }) => jobs.list({ limit: 2 }), gives: "each" },
  "jobs.listPage": {
    operation: "GET /v1/jobs",
    call: ({ jobs }) =>
      jobs.listPage({
        status: ["FAILED", "SUCCEEDED"],
        runtime: "docker",
        labels: { team: "data", kind: "a:b" },
        name: "nightly",
        createdAfter: "2026-03-01",
        createdBefore: "2026-03-02T00:00:00Z",
        limit: 1,
        cursor: jobId,
      }),
  },
  "jobs.cancel": { operation: "POST /v1/jobs/{id}/cancel", status: 202, call: ({ jobs }) => jobs.cancel(jobId) },
  "jobs.retry": {
    operation: "POST /v1/jobs/{id}/retry",
    status: 202,
    call: ({ jobs }) => jobs.retry(FAILED_JOB_ID, { trace }),
  },
  "jobs.cost": { operation: "GET /v1/jobs/{id}/cost", call: ({ jobs }) => jobs.cost(jobId) },
  "jobs.events": { operation: "GET /v1/jobs/{id}/events", call: ({ jobs }) => jobs.events(jobId), gives: "each" },
  "jobs.logs": {
    operation: "GET /v1/jobs/{id}/logs",
    call: ({ jobs }) => jobs.logs(jobId, { tail: 10, since: "2026-03-01T02:00:00Z", streams: ["stdout", "stderr"] }),
    gives: "each",
  },
  "jobs.followEvents": {
    operation: "GET /v1/jobs/{id}/events",
    call: ({ jobs }) => jobs.followEvents(jobId),
    gives: "each",
  },
  "jobs.followLogs": {
    operation: "GET /v1/jobs/{id}/logs",
    call: ({ jobs }) => jobs.followLogs(jobId, { since: 1, tail: 5, streams: ["stdout"] }),
    gives: "each",
  },
  "jobs.artifacts": { operation: "GET /v1/jobs/{id}/artifacts", call: ({ jobs }) => jobs.artifacts(jobId) },
  "jobs.download": {
    operation: "GET /v1/jobs/{id}/artifacts/{name+}",
    call: ({ jobs }) => jobs.download(jobId, ARTIFACT, { backoffMs: () => 0 }),
    gives: "bytes",
  },
  "runs.list": { operation: "GET /v1/runs", call: ({ runs }) => runs.list({ limit: 2 }), gives: "each" },
  "runs.listPage": {
    operation: "GET /v1/runs",
    call: ({ runs }) =>
      runs.listPage({
        status: ["FAILED", "SUCCEEDED"],
        runtime: "docker",
        labels: { team: "data" },
        name: "nightly",
        finishedAfter: "2026-03-01",
        finishedBefore: "2026-03-02T00:00:00Z",
        limit: 1,
        cursor: jobId,
      }),
  },
  "runs.get": { operation: "GET /v1/runs/{id}", call: ({ runs }) => runs.get(jobId) },
  "runs.receipt": { operation: "GET /v1/runs/{id}/receipt", call: ({ runs }) => runs.receipt(jobId) },
  "runs.summary": {
    operation: "GET /v1/runs/{id}/summary",
    call: ({ runs }) => runs.summary(jobId),
    gives: "text",
  },
  "runs.events": { operation: "GET /v1/runs/{id}/events", call: ({ runs }) => runs.events(jobId), gives: "lines" },
  "runs.remove": {
    operation: "DELETE /v1/runs/{id}",
    status: 204,
    call: ({ runs }) => runs.remove(jobId),
    gives: "nothing",
  },
  "runs.cleanup": {
    operation: "POST /v1/runs/cleanup",
    call: ({ runs }) => runs.cleanup({ olderThan: "7d", status: ["FAILED"], keep: 3, dryRun: true, cursor: jobId }),
  },
  "deadLetters.list": {
    operation: "GET /v1/dead-letters",
    call: ({ deadLetters }) => deadLetters.list({ limit: 2 }),
    gives: "each",
  },
  "deadLetters.listPage": {
    operation: "GET /v1/dead-letters",
    call: ({ deadLetters }) => deadLetters.listPage({ limit: 2 }),
  },
  "deadLetters.get": {
    operation: "GET /v1/dead-letters/{id}",
    call: ({ deadLetters }) => deadLetters.get(DEAD_LETTER.id),
  },
  "deadLetters.replay": {
    operation: "POST /v1/dead-letters/{id}/replay",
    status: 202,
    call: ({ deadLetters }) => deadLetters.replay(DEAD_LETTER.id, key),
  },
  "deadLetters.remove": {
    operation: "DELETE /v1/dead-letters/{id}",
    status: 204,
    call: ({ deadLetters }) => deadLetters.remove(DEAD_LETTER.id),
    gives: "nothing",
  },
  "runtimes.list": { operation: "GET /v1/runtimes", call: ({ runtimes }) => runtimes.list(), gives: "items" },
  "runtimes.get": { operation: "GET /v1/runtimes/{name}", call: ({ runtimes }) => runtimes.get("docker") },
  usage: { operation: "GET /v1/usage", call: (client) => client.usage() },
  health: { operation: "GET /v1/health", call: (client) => client.health() },
};

/** Operations that the client has no method for, and why. */
export const WITHOUT_METHOD: Partial<Record<Name, string>> = {
  "GET /v1/openapi.json": "it is for those who have no client",
  "GET /v1/metrics": "it is for scrapers",
  "GET /v1/jobs/{id}/logs/stream": "a WebSocket is opened and not fetched (test/sdk/web-socket.test.ts)",
  "HEAD /v1/jobs/{id}/artifacts/{name+}": "the list says it all",
};

/** Parameters that the client never sends, and why: `operationId name`. */
export const NEVER_SENT: Readonly<Record<string, string>> = {
  "listEvents limit": "the client reads all pages",
  "readLogs limit": "the client reads all pages",
  "retryJob Idempotency-Key": "a retry by hand is made once; its answer may be lost",
  "getArtifact If-None-Match": "the client keeps no files",
  "getArtifact If-Range": "the file is known by its hash, which is checked at the end",
};

/** A cursor as the list gives it, for operations that have pages. */
export const CURSORS: Partial<Record<Name, string>> = {
  "GET /v1/jobs": jobId,
  "GET /v1/runs": jobId,
  "GET /v1/dead-letters": `2026-03-01T02:10:00.000Z_${DEAD_LETTER.id}`,
  "GET /v1/jobs/{id}/events": "1",
  "GET /v1/jobs/{id}/logs": "1",
};

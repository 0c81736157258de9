import type * as z from "zod";
import type { OPERATIONS } from "../../../functions/api/operations.ts";
import type * as shapes from "../../../functions/api/shapes.ts";
import type { LongshoreClient } from "../../../sdk/client.ts";
import type * as sdk from "../../../sdk/types.ts";

// The types of the client are written by hand, so that who uses it reads them without zod. Here the compiler holds them to
// the shapes of which the description is made: a member that only one of the two has is an error that names it.

/** What an operation answers with a status. */
type Answered<R extends keyof typeof OPERATIONS, S extends number> = (typeof OPERATIONS)[R] extends {
  answers: { [K in S]: { schema: infer Z extends z.ZodType } };
}
  ? z.output<Z>
  : never;

type Call<M extends (...args: never[]) => unknown> = Awaited<ReturnType<M>>;
type Item<M extends (...args: never[]) => unknown> = ReturnType<M> extends AsyncGenerator<infer T, void> ? T : never;

/** A type without what JSON does not know: who may change it, and the difference between absent and undefined. */
type Plain<T> = T extends readonly (infer U)[]
  ? Plain<U>[]
  : T extends object
    ? {
        -readonly [K in keyof T]-?: undefined extends T[K]
          ? { optional: Plain<Exclude<T[K], undefined>> }
          : Plain<T[K]>;
      }
    : T;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `true` where the client's type and the document's are one, else what is not the same in them. */
type Same<Client, Document> =
  Equal<Plain<Client>, Plain<Document>> extends true
    ? true
    : {
        onlyInTheClient: Exclude<keyof Client, keyof Document>;
        onlyInTheDocument: Exclude<keyof Document, keyof Client>;
        different: {
          [K in keyof Client & keyof Document]: Equal<Plain<Client[K]>, Plain<Document[K]>> extends true ? never : K;
        }[keyof Client & keyof Document];
      };

/** The client makes a problem of an answer that is none: it may lack what Longshore always says. */
type FromLongshore<P extends { detail?: string; instance?: string }> = P & Required<Pick<P, "detail" | "instance">>;

type Jobs = LongshoreClient["jobs"];
type DeadLetters = LongshoreClient["deadLetters"];
type Runs = LongshoreClient["runs"];
type Runtimes = LongshoreClient["runtimes"];

/** Every shape that both have a name for. */
export const SHAPES: {
  Problem: Same<FromLongshore<sdk.Problem>, z.output<typeof shapes.problem>>;
  Job: Same<sdk.Job, z.output<typeof shapes.job>>;
  JobSummary: Same<sdk.JobSummary, z.output<typeof shapes.jobSummary>>;
  Event: Same<sdk.Event, z.output<typeof shapes.event>>;
  LogLine: Same<sdk.LogLine, z.output<typeof shapes.logLine>>;
  Artifact: Same<sdk.Artifact, z.output<typeof shapes.artifact>>;
  Artifacts: Same<sdk.Artifacts, z.output<typeof shapes.artifacts>>;
  Run: Same<sdk.Run, z.output<typeof shapes.run>>;
  RunDetails: Same<sdk.RunDetails, z.output<typeof shapes.runDetails>>;
  RunReceipt: Same<sdk.RunReceipt, z.output<typeof shapes.receipt>>;
  RunCleanup: Same<sdk.RunCleanup, z.output<typeof shapes.runCleanupAnswer>>;
  Usage: Same<sdk.Usage, z.output<typeof shapes.usage>>;
  Cost: Same<sdk.Cost, z.output<typeof shapes.cost>>;
  DryRun: Same<sdk.DryRun, z.output<typeof shapes.dryRun>>;
  DeadLetter: Same<sdk.DeadLetter, z.output<typeof shapes.deadLetter>>;
  Runtime: Same<sdk.Runtime, z.output<typeof shapes.runtime>>;
  Health: Same<sdk.Health, z.output<typeof shapes.health>>;
  Heartbeat: Same<sdk.Heartbeat, z.output<typeof shapes.heartbeat>>;
  JobSpecInput: Same<sdk.JobSpecInput, z.input<typeof shapes.jobSpecInput>>;
} = {
  Problem: true,
  Job: true,
  JobSummary: true,
  Event: true,
  LogLine: true,
  Artifact: true,
  Artifacts: true,
  Run: true,
  RunDetails: true,
  RunReceipt: true,
  RunCleanup: true,
  Usage: true,
  Cost: true,
  DryRun: true,
  DeadLetter: true,
  Runtime: true,
  Health: true,
  Heartbeat: true,
  JobSpecInput: true,
};

/** What each method gives, beside what its operation answers. */
export const RESULTS: {
  submit: Same<Call<Jobs["submit"]>, Answered<"POST /v1/jobs", 202>>;
  dryRun: Same<Call<Jobs["dryRun"]>, Answered<"POST /v1/jobs", 200>>;
  submitBatch: Same<Call<Jobs["submitBatch"]>, Answered<"POST /v1/jobs/batch", 202>["items"]>;
  get: Same<Call<Jobs["get"]>, Answered<"GET /v1/jobs/{id}", 200>>;
  list: Same<Item<Jobs["list"]>, Answered<"GET /v1/jobs", 200>["items"][number]>;
  listPage: Same<Call<Jobs["listPage"]>, Answered<"GET /v1/jobs", 200>>;
  cancel: Same<Call<Jobs["cancel"]>, Answered<"POST /v1/jobs/{id}/cancel", 202>>;
  retry: Same<Call<Jobs["retry"]>, Answered<"POST /v1/jobs/{id}/retry", 202>>;
  cost: Same<Call<Jobs["cost"]>, Answered<"GET /v1/jobs/{id}/cost", 200>>;
  events: Same<Item<Jobs["events"]>, Answered<"GET /v1/jobs/{id}/events", 200>["items"][number]>;
  followEvents: Same<Item<Jobs["followEvents"]>, z.output<typeof shapes.event>>;
  logs: Same<Item<Jobs["logs"]>, Answered<"GET /v1/jobs/{id}/logs", 200>["items"][number]>;
  followLogs: Same<Item<Jobs["followLogs"]>, z.output<typeof shapes.logLine>>;
  artifacts: Same<Call<Jobs["artifacts"]>, Answered<"GET /v1/jobs/{id}/artifacts", 200>>;
  runs: Same<Item<Runs["list"]>, Answered<"GET /v1/runs", 200>["items"][number]>;
  runPage: Same<Call<Runs["listPage"]>, Answered<"GET /v1/runs", 200>>;
  run: Same<Call<Runs["get"]>, Answered<"GET /v1/runs/{id}", 200>>;
  receipt: Same<Call<Runs["receipt"]>, Answered<"GET /v1/runs/{id}/receipt", 200>>;
  runEvents: Same<Call<Runs["events"]>[number], z.output<typeof shapes.event>>;
  cleanup: Same<Call<Runs["cleanup"]>, Answered<"POST /v1/runs/cleanup", 200>>;
  usage: Same<Call<LongshoreClient["usage"]>, Answered<"GET /v1/usage", 200>>;
  deadLetters: Same<Item<DeadLetters["list"]>, Answered<"GET /v1/dead-letters", 200>["items"][number]>;
  deadLetterPage: Same<Call<DeadLetters["listPage"]>, Answered<"GET /v1/dead-letters", 200>>;
  deadLetter: Same<Call<DeadLetters["get"]>, Answered<"GET /v1/dead-letters/{id}", 200>>;
  replay: Same<Call<DeadLetters["replay"]>, Answered<"POST /v1/dead-letters/{id}/replay", 202>>;
  runtimes: Same<Call<Runtimes["list"]>, Answered<"GET /v1/runtimes", 200>["items"]>;
  runtime: Same<Call<Runtimes["get"]>, Answered<"GET /v1/runtimes/{name}", 200>>;
  health: Same<Call<LongshoreClient["health"]>, Answered<"GET /v1/health", 200>>;
} = {
  submit: true,
  dryRun: true,
  submitBatch: true,
  get: true,
  list: true,
  listPage: true,
  cancel: true,
  retry: true,
  cost: true,
  events: true,
  followEvents: true,
  logs: true,
  followLogs: true,
  artifacts: true,
  runs: true,
  runPage: true,
  run: true,
  receipt: true,
  runEvents: true,
  cleanup: true,
  usage: true,
  deadLetters: true,
  deadLetterPage: true,
  deadLetter: true,
  replay: true,
  runtimes: true,
  runtime: true,
  health: true,
};

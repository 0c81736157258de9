import { createHash } from "node:crypto";
import {
  type ArtifactRecord,
  type ArtifactSummary,
  artifactId,
  contentTypeOf,
  nameArtifact,
  refuseArtifact,
} from "../artifacts/record.ts";
import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { advance } from "../ledger/advance.ts";
import { artifactChanges, readArtifacts } from "../ledger/artifacts.ts";
import { artifactObject } from "../ledger/keys.ts";
import type { AttemptRecord, JobRecord, Life } from "../ledger/records.ts";
import { createMasker } from "../masking.ts";
import type { ArtifactEntry, ArtifactFile, RuntimeAdapter } from "../ports/runtime.ts";
import { SPEC_LIMITS } from "../spec/limits.ts";
import type { JobSpec } from "../spec/schema.ts";
import { maskedValues } from "./attempt-log.ts";

/** Records of one commit: with what else a verdict writes it has to stay under the bound of a transaction. */
const BATCH = 50;
/** How much a runtime may look at: names, and bytes as a multiple of what may be kept. */
const MAX_ENTRIES = 100_000;
const SCAN_FACTOR = 8;
const SPARE_SCAN_BYTES = 256 * 1024 * 1024;

/** What was collected: the records that are yet to be committed, with the verdict, and the life as it is on record. */
export interface CollectedArtifacts {
  summary: ArtifactSummary;
  pending: ArtifactRecord[];
  life: Life;
}

interface Collection extends CollectedArtifacts {
  ctx: EngineContext;
  wanted: NonNullable<JobSpec["artifacts"]>;
  attempt: AttemptRecord;
  names: Set<string>;
  mask: (text: string) => string;
}

/**
 * Stores the files that an attempt left and that its spec asks for, inside the byte budget, and puts them on record with an
 * event each. What is on record is not collected again; an object without a record, as a crash leaves it, is stored anew
 * under the same key. What a file holds is the submitter's and stays as it is; names, paths and reasons are masked.
 * @throws LongshoreError UNAVAILABLE or RUNTIME_UNAVAILABLE when it may be done later.
 */
export async function collectArtifacts(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  { artifacts: wanted, workdir }: JobSpec,
): Promise<CollectedArtifacts | undefined> {
  const runtime = ctx.runtimes.get(job.runtime);
  if (wanted === undefined || runtime.artifacts === undefined) return undefined;
  const known = await readArtifacts(ctx.ledger, job.jobId, attempt.attempt);
  const summary: ArtifactSummary = { stored: 0, bytes: 0, refused: [], refusedCount: 0 };
  for (const { contentBytes } of known) count(summary, contentBytes);
  const collection: Collection = {
    ctx,
    wanted,
    attempt,
    summary,
    pending: [],
    life: { job, attempt },
    names: new Set(known.map(({ name }) => name)),
    mask: (text) => text,
  };
  if (attempt.externalRef === null || attempt.startedAt === null) return collection;
  try {
    collection.mask = createMasker(await maskedValues(ctx, job.jobId, attempt.attempt));
    const limits = { entries: MAX_ENTRIES, bytes: wanted.maxBytes * SCAN_FACTOR + SPARE_SCAN_BYTES };
    const request = { paths: wanted.paths, workdir: workdir ?? null, limits };
    await takeAll(collection, entriesOf(runtime, attempt.externalRef, request), known);
  } catch (error) {
    // Whatever is no word of the runtime's may pass too: it is tried again.
    if (!(error instanceof LongshoreError) || mayPass(error)) throw error;
    const { jobId } = job;
    const { code, providerCode } = error;
    ctx.logger.warn({ jobId, attempt: attempt.attempt, code, providerCode }, "artifacts cannot be read to their end");
    const message = "the rest of the files cannot be read";
    refuseArtifact(summary, { path: wanted.paths.map(collection.mask).join(" "), code: "unreadable", message });
  }
  return collection;
}

type Request = Parameters<NonNullable<RuntimeAdapter["artifacts"]>>[1];

function entriesOf(runtime: RuntimeAdapter, ref: string, request: Request): AsyncIterable<ArtifactEntry> {
  if (runtime.artifacts === undefined) throw new LongshoreError("INTERNAL", `${runtime.name} keeps no artifacts`);
  return runtime.artifacts(ref, request);
}

function count(summary: ArtifactSummary, contentBytes: number): void {
  summary.stored += 1;
  summary.bytes += contentBytes;
}

async function takeAll(
  collection: Collection,
  entries: AsyncIterable<ArtifactEntry>,
  known: readonly ArtifactRecord[],
): Promise<void> {
  const { summary, mask } = collection;
  // Of several files that look alike when they are masked so many are there already.
  const before = new Map<string, number>();
  for (const { path } of known) before.set(path, (before.get(path) ?? 0) + 1);
  for await (const entry of entries) {
    const path = mask(entry.path.toWellFormed());
    if (entry.kind === "refused") {
      refuseArtifact(summary, { path, code: entry.code, message: mask(entry.message) });
      continue;
    }
    const there = before.get(path) ?? 0;
    if (there > 0) {
      before.set(path, there - 1);
      continue;
    }
    if (!isWithinBudget(collection, entry, path)) continue;
    await store(collection, entry, path);
    if (collection.pending.length >= BATCH && !(await commit(collection))) return;
  }
}

/** Nothing is ever cut: a file is kept whole, or refused. */
function isWithinBudget({ summary, wanted }: Collection, { sizeBytes }: ArtifactFile, path: string): boolean {
  const { maxBytes } = wanted;
  const { artifactFiles } = SPEC_LIMITS;
  const left = maxBytes - summary.bytes;
  if (summary.stored >= artifactFiles) {
    refuseArtifact(summary, { path, code: "too_many", message: `a job keeps at most ${artifactFiles} files` });
  } else if (sizeBytes > left) {
    const of = left === maxBytes ? `artifacts.maxBytes is ${maxBytes}` : `${left} of ${maxBytes} are left`;
    refuseArtifact(summary, { path, code: "too_big", message: `it has ${sizeBytes} bytes, and ${of}` });
  } else return true;
  return false;
}

async function store(collection: Collection, file: ArtifactFile, path: string): Promise<void> {
  const { ctx, summary, wanted, attempt, names, life } = collection;
  const name = nameArtifact(path, names);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let unread: { error: unknown } | undefined;
  async function* content(): AsyncGenerator<Uint8Array> {
    try {
      yield* file.body;
    } catch (error) {
      unread = { error };
      throw error;
    }
  }
  async function* measured(): AsyncGenerator<Uint8Array> {
    for await (const chunk of wanted.gzip ? gzipped(content()) : content()) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
    }
  }
  try {
    await ctx.objects.put(artifactObject(life.job.jobId, attempt.attempt, artifactId(name)), measured());
  } catch (error) {
    if (unread === undefined) throw error;
    const cause = unread.error;
    const isChange = cause instanceof LongshoreError && cause.code === "CONFLICT";
    if (!(cause instanceof LongshoreError) || (mayPass(cause) && !isChange)) throw cause;
    const code = isChange ? "changed" : "unreadable";
    return refuseArtifact(summary, { path, code, message: collection.mask(cause.message) });
  }
  names.add(name);
  count(summary, file.sizeBytes);
  collection.pending.push({
    name,
    path,
    sizeBytes,
    sha256: hash.digest("hex"),
    contentType: contentTypeOf(path),
    encoding: wanted.gzip ? "gzip" : null,
    storedAt: new Date(ctx.clock()).toISOString(),
    attempt: attempt.attempt,
    contentBytes: file.sizeBytes,
  });
}

function gzipped(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return ReadableStream.from(content).pipeThrough(new CompressionStream("gzip"));
}

/** Puts what was stored so far on record; false when the attempt has been ended by somebody else meanwhile. */
async function commit(collection: Collection): Promise<boolean> {
  const { ctx, attempt, life } = collection;
  const artifacts = collection.pending.splice(0);
  const { changed, life: after } = await advance(ctx.ledger, life.job.jobId, {
    move: { type: "KEEP", attempt: attempt.attempt, artifacts },
    extras: artifactChanges(life.job.jobId, artifacts),
    known: life,
  });
  collection.life = after;
  return changed;
}

function mayPass({ code }: LongshoreError): boolean {
  return code === "UNAVAILABLE" || code === "RUNTIME_UNAVAILABLE" || code === "CONFLICT" || code === "INTERNAL";
}

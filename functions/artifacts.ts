import type { ArtifactRecord } from "../engine/artifacts/record.ts";
import { artifactId } from "../engine/artifacts/record.ts";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import { readArtifact } from "../engine/ledger/artifacts.ts";
import { artifactObject } from "../engine/ledger/keys.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { type ApiEvent, header, instanceOf, problem } from "./http.ts";
import { jobOf } from "./query.ts";

/** A file's bytes, or where they are. */
export interface ArtifactResult {
  statusCode: number;
  headers: Record<string, string>;
  body: AsyncIterable<Uint8Array | string>;
}

/** An object that may be fetched for a while by whoever knows its address. */
export interface Signed {
  key: string;
  method: "GET" | "HEAD";
  /** What the answer to it has to say of itself. */
  headers: Record<string, string>;
}

export interface ArtifactDeps {
  ctx: EngineContext;
  /** Makes such an address; a home without a store that has some hands the bytes over itself. */
  sign?(object: Signed): Promise<string>;
}

/** `…/artifacts/` and a name, which may hold slashes. */
const PATH = /\/artifacts\/.+$/;

/** Whether a request asks for a file's bytes. */
export function wantsArtifact(event: ApiEvent): boolean {
  return PATH.test(event.path);
}

/** One file of a job's, as it was stored: whole, or one range of it (RFC 9110, 14), or only its head. */
export function makeHandler({ ctx, sign }: ArtifactDeps) {
  return async (event: ApiEvent): Promise<ArtifactResult> => {
    const job = await jobOf(ctx, event);
    const artifact = await namedArtifact(ctx, job, event);
    if (artifact === undefined) throw new LongshoreError("NOT_FOUND", "the job has no artifact with this name");
    const key = artifactObject(job.jobId, artifact.attempt, artifactId(artifact.name));
    const isHead = event.httpMethod === "HEAD";
    if (sign !== undefined) {
      const headers = contentHeaders(artifact);
      const location = await sign({ key, method: isHead ? "HEAD" : "GET", headers });
      // Whoever keeps the answer keeps an address that is good for minutes only.
      return { statusCode: 307, headers: { Location: location, "Cache-Control": "no-store" }, body: nothing() };
    }
    return answer({ ctx, event, isHead }, artifact, key);
  };
}

/** A front door may have decoded the name already: then what stands there is the name, also where it has a percent sign. */
async function namedArtifact(ctx: EngineContext, job: JobRecord, event: ApiEvent): Promise<ArtifactRecord | undefined> {
  const given = event.pathParameters?.name ?? "";
  const decoded = safelyDecoded(given);
  const found = decoded === undefined ? undefined : await readArtifact(ctx.ledger, job, decoded);
  return found ?? (decoded === given ? undefined : await readArtifact(ctx.ledger, job, given));
}

function safelyDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign: it was decoded before.
    return undefined;
  }
}

interface Asked {
  ctx: EngineContext;
  event: ApiEvent;
  isHead: boolean;
}

async function answer({ ctx, event, isHead }: Asked, artifact: ArtifactRecord, key: string): Promise<ArtifactResult> {
  const etag = `"${artifact.sha256}"`;
  const headers = { ...contentHeaders(artifact), ...GUARDS, ETag: etag, "Accept-Ranges": "bytes" };
  if (namesTag(header(event, "if-none-match"), etag))
    return { statusCode: 304, headers: { ETag: etag }, body: nothing() };
  const range = rangeOf(event, artifact.sizeBytes, etag);
  if (range === "unsatisfiable") {
    const error = new LongshoreError("VALIDATION", `the range is not inside the file's ${artifact.sizeBytes} bytes`);
    const { headers: told, body } = problem(error, instanceOf(event), ctx.logger);
    const text = JSON.stringify({ ...JSON.parse(body), status: 416, title: "Range not satisfiable" });
    const about = { ...(told as Record<string, string>), "Content-Range": `bytes */${artifact.sizeBytes}` };
    return { statusCode: 416, headers: about, body: isHead ? nothing() : one(text) };
  }
  const { start, end } = range ?? { start: 0, end: artifact.sizeBytes - 1 };
  const about = {
    ...headers,
    "Content-Length": String(end - start + 1),
    ...(range === undefined ? {} : { "Content-Range": `bytes ${start}-${end}/${artifact.sizeBytes}` }),
  };
  const statusCode = range === undefined ? 200 : 206;
  const stored = isHead ? undefined : await ctx.objects.get(key, range);
  const object = isHead ? await ctx.objects.head(key) : stored;
  if (object === undefined) throw new LongshoreError("NOT_FOUND", "the artifact is not kept any more");
  if (object.sizeBytes !== artifact.sizeBytes)
    throw new LongshoreError("UNAVAILABLE", "the stored artifact is damaged");
  return { statusCode, headers: about, body: stored?.body ?? nothing() };
}

/** A file is somebody's: it is saved, and not shown, and what it holds does nothing in this home's own name. */
const GUARDS = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "default-src 'none'; sandbox",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "private, no-cache",
};

/** What is handed over is the stored bytes: of a file that was compressed it is those that are described. */
function contentHeaders({ name, contentType, encoding }: ArtifactRecord): Record<string, string> {
  const last = `${name.split("/").at(-1) ?? name}${encoding === "gzip" ? ".gz" : ""}`;
  const plain = last.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(last).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return {
    "Content-Type": encoding === "gzip" ? "application/gzip" : contentType,
    "Content-Disposition": `attachment; filename="${plain}"; filename*=UTF-8''${exact}`,
  };
}

function namesTag(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false;
  return given.split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === etag);
}

/** The range that is asked for; none where there are several, or where the file is another one than the asker has. */
function rangeOf(
  event: ApiEvent,
  size: number,
  etag: string,
): { start: number; end: number } | "unsatisfiable" | undefined {
  const ifRange = header(event, "if-range");
  if (ifRange !== undefined && ifRange.trim() !== etag) return undefined;
  const [, first = "", last = ""] =
    /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header(event, "range") ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}

async function* nothing(): AsyncGenerator<string> {
  yield* [];
}

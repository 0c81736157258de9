import type { IncomingMessage } from "node:http";
import type Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";
import { beginScan, isWithin, namesOf } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { ArtifactEntry, ArtifactRefusal, ArtifactRequest, ExternalRef } from "../../../engine/ports/runtime.ts";
import { readArchive } from "./archive.ts";
import type { Engine } from "./client.ts";
import { engineFailure, httpStatus } from "./errors.ts";

/** How often the archives of one container may break off before it counts as its own fault. */
const MAX_BREAKS = 3;
/** `os.ModeSymlink` of Go, in which the engine tells modes. */
const GO_SYMLINK = 2 ** 27;
const STAT_HEADER = "x-docker-container-path-stat";

/**
 * The files under some globs in the file system of a container that has ended, by the engine's archives. What is mounted
 * into it belongs to the host and is refused, also where a link leads to it.
 * @param breaks how often archives of containers broke off so far: kept between calls.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when the engine does not answer; UNKNOWN when it gives no whole archive.
 */
export async function* readArtifacts(
  engine: Engine,
  { container, breaks }: { container: ContainerInspectInfo; breaks: Map<ExternalRef, number> },
  request: ArtifactRequest,
): AsyncGenerator<ArtifactEntry, void, undefined> {
  const ref = container.Id;
  const workdir = namesOf(request.workdir ?? (container.Config.WorkingDir || "/"));
  const mounts = container.Mounts.map(({ Destination }) => namesOf(Destination));
  const scan = beginScan(request, workdir);
  const seen = new Set<string>();
  const links = createLinks(engine, ref);
  for (const refused of scan.refused) yield { kind: "refused", ...refused };
  for (const base of scan.bases) {
    if (scan.exhausted() !== undefined) break;
    const mount = mounts.find((one) => isWithin(base, one));
    const link = await links.onWayTo(base);
    const refused = link ?? (mount && { path: path(mount), code: "mount", message: "a volume is mounted there" });
    if (refused !== undefined) {
      scan.settle(base);
      yield { kind: "refused", ...refused };
      continue;
    }
    const archive = await openArchive(engine, ref, base);
    if (archive === undefined) continue;
    const broken = (error: unknown): LongshoreError => {
      const count = (breaks.get(ref) ?? 0) + 1;
      breaks.set(ref, count);
      // An engine that comes back gives the whole of it: only one that never does has something that it cannot read.
      if (count < MAX_BREAKS) return engineFailure(error, "read an archive");
      const message = "Docker's archives of the container broke off again and again";
      return new LongshoreError("UNKNOWN", message, { providerCode: "ARCHIVE" });
    };
    try {
      yield* readArchive(bytesOf(archive, broken), scan, { base, mounts, seen });
    } finally {
      (archive as IncomingMessage).destroy();
    }
  }
  const rest = scan.exhausted();
  for (const refused of rest === undefined ? scan.unmatched() : [rest]) yield { kind: "refused", ...refused };
}

/** An archive's bytes: also whoever reads a file of it hears in our words that it broke off. */
async function* bytesOf(
  archive: NodeJS.ReadableStream,
  broken: (error: unknown) => LongshoreError,
): AsyncGenerator<Uint8Array> {
  try {
    yield* archive as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw broken(error);
  }
}

function path(names: readonly string[]): string {
  return `/${names.join("/")}`;
}

/** Looks for links on the way to a path: the engine follows those, and they may lead into a mount. */
function createLinks(engine: Engine, ref: ExternalRef) {
  const known = new Map<string, Promise<boolean>>();
  const isLink = (one: string): Promise<boolean> => {
    const found = known.get(one) ?? askForLink(engine, ref, one);
    known.set(one, found);
    return found;
  };
  return {
    /** The first part of a path that is a link, as a refusal. */
    async onWayTo(base: readonly string[]): Promise<ArtifactRefusal | undefined> {
      for (let depth = 1; depth <= base.length; depth += 1) {
        const directory = path(base.slice(0, depth));
        if (!(await isLink(directory))) continue;
        const message = `${directory} is a symbolic link, and links are not followed`;
        return { path: path(base), code: "symlink", message };
      }
      return undefined;
    },
  };
}

async function askForLink(engine: Engine, ref: ExternalRef, one: string): Promise<boolean> {
  try {
    const answer = await engine.call((client, signal) => dial(client, { method: "HEAD", ref, path: one, signal }));
    answer.resume();
    const stat = answer.headers[STAT_HEADER];
    const told: unknown = JSON.parse(Buffer.from(String(stat ?? ""), "base64").toString("utf8") || "null");
    const mode = (told as { mode?: unknown } | null)?.mode;
    return typeof mode === "number" && Math.floor(mode / GO_SYMLINK) % 2 === 1;
  } catch (error) {
    if (httpStatus(error) === 404) return false;
    throw engineFailure(error, "look at a path");
  }
}

/** The archive of a path; undefined when there is nothing. */
async function openArchive(engine: Engine, ref: ExternalRef, base: readonly string[]) {
  try {
    const asked = { method: "GET" as const, ref, path: path(base) };
    // Whoever reads it may be as slow as the store that the files go to: it has no limit in time.
    const open = (client: Docker, signal: AbortSignal) => dial(client, { ...asked, signal });
    return await engine.open(open, new AbortController().signal);
  } catch (error) {
    if (httpStatus(error) === 404) return undefined;
    throw engineFailure(error, "read an archive");
  }
}

/** Below the client's own methods, which take no signal for both. */
async function dial(
  client: Docker,
  { method, ref, path, signal }: { method: "GET" | "HEAD"; ref: ExternalRef; path: string; signal: AbortSignal },
): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const request = {
      path: `/containers/${ref}/archive?`,
      method,
      options: { path },
      isStream: true,
      abortSignal: signal,
      statusCodes: { 200: true, 400: "bad parameter", 404: "no such path", 500: "server error" },
    };
    client.modem.dial(request, (error: unknown, answer: unknown) => {
      if (error) reject(error);
      else resolve(answer as IncomingMessage);
    });
  });
}

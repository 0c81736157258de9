import { once } from "node:events";
import { Readable } from "node:stream";
import { Parser, type ReadEntry } from "tar";
import { LongshoreError } from "../../../engine/errors.ts";

/** What an archive holds. `size` and `body` are those of a file; everything else has none. */
export interface TarEntry {
  name: string;
  kind: "file" | "directory" | "symlink" | "hard_link" | "special";
  size: number;
  /** The bytes, as they are read; of what is not read they are passed over by the next entry. */
  body: AsyncIterable<Uint8Array>;
}

/** A header that tells of the next one: names are at most 4 KiB, but extended attributes come with them. */
const MAX_META_BYTES = 1024 * 1024;
const KINDS: Readonly<Record<string, TarEntry["kind"]>> = {
  File: "file",
  OldFile: "file",
  ContiguousFile: "file",
  Directory: "directory",
  SymbolicLink: "symlink",
  Link: "hard_link",
};

/**
 * The entries of a tar, one after the other as the bytes come: a reader that is slow holds the source back.
 * @param pass is told of bytes that have passed through; what it throws ends the reading.
 * @throws LongshoreError UNKNOWN for what is no whole archive; what the source throws, as it is.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  pass: (bytes: number) => void,
): AsyncGenerator<TarEntry, void, undefined> {
  const found: (Omit<TarEntry, "body"> & { entry?: ReadEntry })[] = [];
  let news = Promise.withResolvers<void>();
  let ended: { error: unknown } | undefined;
  let current: ReadEntry | undefined;
  const end = (error: unknown): void => {
    ended ??= { error };
    news.resolve();
    // Whoever reads a file hears of it too.
    if (error !== undefined && current?.emittedEnd === false) current.destroy(error);
  };
  const parser = new Parser({ maxMetaEntrySize: MAX_META_BYTES });
  // What the library warns of and passes over: a link that leads nowhere is told of, anything else is no archive.
  parser.on("warn", (_code: string, message: string, { header }: { header?: ReadEntry["header"] }) => {
    const kind = KINDS[header?.type ?? ""];
    if (header?.path === undefined || !message.startsWith("linkpath")) return end(damaged(message));
    found.push({ name: header.path, kind: kind ?? "special", size: 0 });
    news.resolve();
  });
  const add = (entry: ReadEntry): void => {
    if (entry.header.size === undefined || entry.header.size < 0) return end(damaged("a size is none"));
    const kind = KINDS[entry.type] ?? "special";
    found.push({ name: entry.path, kind, size: kind === "file" ? entry.header.size : 0, entry });
    news.resolve();
  };
  parser.on("entry", add);
  // Of a kind that the library does not know, or a header that is too long for it.
  parser.on("ignoredEntry", (entry: ReadEntry) => (entry.meta ? end(damaged("a header is too long")) : add(entry)));
  parser.on("error", (error: Error) => end(damaged(error.message)));
  let isWhole = false;
  parser.on("eof", () => {
    isWhole = true;
  });
  parser.on("end", () => end(isWhole ? undefined : damaged("it ends early")));
  const stopped = new AbortController();
  const feeding = feed(source, parser, { pass, signal: stopped.signal }).catch(end);
  try {
    for (;;) {
      const next = found.shift();
      if (next === undefined) {
        if (ended !== undefined) break;
        await news.promise;
        news = Promise.withResolvers();
        continue;
      }
      const { entry, ...told } = next;
      current = entry;
      // Where nobody reads it any more the failure is told by the archive's own end.
      entry?.on("error", () => undefined);
      yield { ...told, body: entry ?? Readable.from([]) };
      entry?.resume();
    }
    if (ended.error !== undefined) throw ended.error;
  } finally {
    stopped.abort();
    current?.resume();
    await feeding;
  }
}

/** Hands an archive's bytes over as they are taken. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  parser: Parser,
  { pass, signal }: { pass(bytes: number): void; signal: AbortSignal },
): Promise<void> {
  for await (const chunk of source) {
    if (signal.aborted) return;
    pass(chunk.length);
    if (!parser.write(chunk)) await once(parser, "drain", { signal });
  }
  parser.end();
}

/** The library's words name numbers of its own, and no paths. */
function damaged(what: string): LongshoreError {
  return new LongshoreError("UNKNOWN", `docker: what it gave is no whole archive: ${what}`, {
    providerCode: "ARCHIVE",
  });
}

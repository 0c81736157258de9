import { LongshoreError } from "../engine/errors.ts";

/** What a file system says when it takes nothing, and in which words an operator knows it. */
const REASONS: Readonly<Record<string, string>> = {
  EROFS: "its file system is read-only",
  ENOSPC: "its file system is full",
  EDQUOT: "its quota is used up",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EIO: "its file system fails",
  ENOTDIR: "it is not a directory",
  EEXIST: "it is not a directory",
};

/**
 * Runs what needs the data directory at the start of a home. A failure of the file system becomes one that names the
 * directory, since whoever starts a home can do something about it; an answer of the API never holds such a path.
 * @throws LongshoreError UNAVAILABLE in place of that; whatever else the work throws, as it is.
 */
export async function inDataDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    const message = `the data directory ${directory} cannot be used: ${reason}`;
    throw new LongshoreError("UNAVAILABLE", message, { cause: error });
  }
}

function reasonOf(error: unknown): string | undefined {
  if (error instanceof LongshoreError) {
    if (error.code !== "UNAVAILABLE") return undefined;
    return REASONS[error.providerCode ?? ""] ?? error.message;
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return REASONS[code];
}

import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Category } from "../../../engine/errors.ts";
import type { ProcessId } from "./processes.ts";

/** What lies in an attempt's directory. `record` is apart, so that watching it tells of the start and the end only. */
export const FILES = {
  claim: "claim.json",
  supervisor: "supervisor.json",
  cancel: "cancel.json",
  log: "log",
  record: "record",
  started: join("record", "started.json"),
  exit: join("record", "exit.json"),
  work: "work",
  temporary: "tmp",
} as const;

/** Directories of the home beside the attempts begin so; no attempt's name does. */
export const CLAIM_PREFIX = ".claim-";
export const TRASH_PREFIX = ".trash-";

/** What the adapter tells the supervisor on its standard input: the only way that values take. */
export interface Order {
  /** The directory in which the attempts' directories live. */
  directory: string;
  claim: Claim;
  argv: string[];
  /** The job's own environment, without what the supervisor adds. */
  env: Record<string, string>;
  path: string;
  /** Absent: the attempt's own work directory. */
  workdir?: string;
  maskValues: readonly string[];
  timeoutSeconds: number;
  graceSeconds: number;
  maxLogBytes: number;
}

/**
 * Who owns the attempt. It is there, complete, from the moment in which the directory is. The start is a second step:
 * it belongs to the one supervisor that makes `supervisor.json` (its ProcessId) in that directory.
 */
export interface Claim {
  homeId: string;
  jobId: string;
  attempt: number;
  externalName: string;
  cleanup: "always" | "onSuccess" | "never";
  /** A supervisor that comes too late must not take a later directory of the same name for its own. */
  token: string;
  /** The Longshore that made the directory and was about to start a supervisor. */
  claimant: ProcessId;
}

/** Written once the command runs; its process leads a session and a process group of its own. */
export interface StartedRecord {
  leader: ProcessId;
  startedAt: string;
}

/** How it ended; written once and never changed. */
export interface ExitRecord {
  exitCode: number | null;
  /** A cancel was taken up before the command had ended. */
  cancelled: boolean;
  failure: { category: Category; message: string; providerCode: string | null } | null;
  startedAt: string | null;
  finishedAt: string;
}

export interface CancelRequest {
  graceSeconds: number;
}

/** The supervisor's answer: what it did is on the disk then; `error` is the system's code when nothing could be. */
export interface Reply {
  error?: string;
}

/**
 * Writes a record that must never change once it is there: whole or not at all, synced, and only by the first.
 * Returns false when there was one already.
 */
export function writeOnce(path: string, value: object): boolean {
  const temporary = writeTemporary(path, value);
  try {
    // A link fails where a rename would overwrite.
    linkSync(temporary, path);
    syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Writes a record in place of the one that was there, whole or not at all. */
export function replace(path: string, value: object): void {
  const temporary = writeTemporary(path, value);
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Failures of a disk that may take the same write later. */
const PASSING = ["ENOSPC", "EDQUOT", "EROFS", "EIO"];
const FULL_AGAIN_MS = 250;

/** Whether a write failed because the disk takes nothing at the moment. */
export function isDiskShut(error: unknown): boolean {
  return PASSING.includes(errorCode(error) ?? "");
}

/**
 * Does a write, again and again as long as the disk takes nothing: for what nobody else could tell later.
 * @throws Error of the file system for any other failure.
 */
export async function persistently(write: () => void): Promise<void> {
  for (;;) {
    try {
      return write();
    } catch (error) {
      if (!isDiskShut(error)) throw error;
    }
    await delay(FULL_AGAIN_MS);
  }
}

/** Reads a record; undefined when there is none (or its directory is gone). */
export function readRecord<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** The code of a failed system call, such as ENOENT. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** Whether a system call failed because the file, or a directory on the way to it, is not there. */
export function isAbsent(error: unknown): boolean {
  return errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR";
}

/** Makes the names in a directory survive a loss of power. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeTemporary(path: string, value: object): string {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  const fd = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(fd, JSON.stringify(value));
    fsyncSync(fd);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  return temporary;
}

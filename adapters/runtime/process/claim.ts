import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identify, type ProcessId } from "./processes.ts";
import {
  CLAIM_PREFIX,
  type Claim,
  errorCode,
  FILES,
  isAbsent,
  type Order,
  readRecord,
  syncDirectory,
  writeOnce,
} from "./records.ts";

/**
 * Makes the attempt's directory, complete, beside the others, and renames it to the attempt's name. False when the
 * name is taken: a directory cannot be renamed onto one that is not empty, and an attempt's never is (cleanup renames
 * it away before it empties it). Not synced: nothing has been started before the supervisor has taken the attempt.
 * @throws Error of the file system when the directory cannot be made.
 */
export async function claim(directory: string, about: Omit<Claim, "token" | "claimant">): Promise<boolean> {
  const random = randomBytes(8).toString("hex");
  const preparation = join(directory, `${CLAIM_PREFIX}${process.pid}-${random}`);
  const whole: Claim = { ...about, token: random, claimant: ownIdentity() };
  try {
    await mkdir(preparation, { recursive: true, mode: 0o700 });
    for (const name of ["record", FILES.work, FILES.temporary]) await mkdir(join(preparation, name), { mode: 0o700 });
    await writeFile(join(preparation, FILES.claim), JSON.stringify(whole), { mode: 0o600 });
    await rename(preparation, join(directory, about.externalName));
    return true;
  } catch (error) {
    await rm(preparation, { recursive: true, force: true });
    if (errorCode(error) === "ENOTEMPTY" || errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Takes a claimed attempt for this supervisor: the one start. Returns the attempt's directory, or undefined when the
 * start is another's or the attempt has been removed.
 *
 * The race that this wins: of any number of supervisors for one attempt, started by any number of processes, exactly
 * one makes the record; one that comes when the attempt has been cleaned up finds no directory to make it in.
 * @throws Error of the file system when the record cannot be made.
 */
export function take(order: Order): string | undefined {
  const path = join(order.directory, order.claim.externalName);
  try {
    if (readRecord<Claim>(join(path, FILES.claim))?.token !== order.claim.token) return undefined;
    if (!writeOnce(join(path, FILES.supervisor), ownIdentity())) return undefined;
    syncDirectory(order.directory);
    return path;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

function ownIdentity(): ProcessId {
  const own = identify(process.pid);
  if (own === undefined) throw new Error("a process cannot tell its own identity");
  return own;
}

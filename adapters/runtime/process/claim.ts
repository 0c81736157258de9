import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { identify } from "./processes.ts";
import { CLAIM_PREFIX, errorCode, FILES, type Order, syncDirectory, writeOnce } from "./records.ts";

/**
 * Claims the attempt for this process: makes its directory, complete, beside the others and renames it to the
 * attempt's name. Returns its path, or undefined when the name is taken.
 *
 * The race that this wins: of any number of supervisors for one attempt, in any number of processes, exactly one
 * renames; a directory cannot be renamed onto one that is not empty, and an attempt's directory never is (cleanup
 * renames it away before it empties it).
 * @throws Error of the file system when the directory cannot be made.
 */
export function claim(order: Order): string | undefined {
  const supervisor = identify(process.pid);
  if (supervisor === undefined) throw new Error("the supervisor cannot tell its own identity");
  const preparation = join(order.directory, `${CLAIM_PREFIX}${process.pid}-${order.claim.externalName}`);
  const path = join(order.directory, order.claim.externalName);
  try {
    mkdirSync(order.directory, { recursive: true, mode: 0o700 });
    // One that a dead process with the same number left is in the way.
    rmSync(preparation, { recursive: true, force: true });
    mkdirSync(preparation, { mode: 0o700 });
    for (const name of ["record", FILES.work, FILES.temporary]) mkdirSync(join(preparation, name), { mode: 0o700 });
    writeOnce(join(preparation, FILES.claim), { ...order.claim, supervisor });
    renameSync(preparation, path);
  } catch (error) {
    rmSync(preparation, { recursive: true, force: true });
    if (errorCode(error) === "ENOTEMPTY" || errorCode(error) === "EEXIST") return undefined;
    throw error;
  }
  syncDirectory(order.directory);
  return path;
}

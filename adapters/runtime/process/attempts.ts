import { randomBytes } from "node:crypto";
import { chmod, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { type Group, identify, isAlive, killAll, markers, type ProcessId, signalProcess } from "./processes.ts";
import {
  type CancelRequest,
  CLAIM_PREFIX,
  type Claim,
  type ExitRecord,
  errorCode,
  FILES,
  isAbsent,
  readRecord,
  replace,
  type StartedRecord,
  TRASH_PREFIX,
  writeOnce,
} from "./records.ts";
import { lostOutcome, statusOf, UNKNOWN } from "./spec.ts";

/** A DNS label: an attempt's name, and nothing that leads out of the directory. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** In a supervisor's place: no process is born so. */
const NOBODY: ProcessId = { pid: 0, born: "never" };

/** One home's attempts, as they lie on the disk: nothing about them is kept anywhere else. */
export interface Attempts {
  path(name: string, file?: string): string;
  /** The claim of an attempt of any home. */
  claimOf(name: string): Claim | undefined;
  /** The claim of an attempt of this home. */
  own(name: string): Claim | undefined;
  /** The supervisor that took the attempt; undefined as long as none has. */
  supervisorOf(name: string): ProcessId | undefined;
  /** Takes an attempt that no supervisor has taken, so that none ever can; false when one was first. */
  forsake(name: string): boolean;
  /** The exit record; found lost, an attempt is ended first and the record made. */
  exitOf(name: string): Promise<ExitRecord | undefined>;
  status(name: string): Promise<RuntimeStatus>;
  /** What tells the processes of an attempt; undefined for one whose command does not run. */
  groupOf(name: string): Group | undefined;
  /** Writes the end of an attempt that this process took or found lost; the first verdict stays. */
  end(name: string, exit: ExitRecord): void;
  /** Whether nobody is about to start it: no supervisor has taken it, and who claimed it is dead. */
  isAbandoned(name: string): boolean;
  /** Leaves a cancel request and wakes the supervisor; it is there for a supervisor that is about to look, too. */
  requestCancel(name: string, request: CancelRequest): void;
  names(): Promise<string[]>;
  /** Removes the directory, whatever the job made of it. */
  remove(name: string): Promise<void>;
  /** Removes what was left by a supervisor that died while it claimed, and by a cleanup that was cut off. */
  sweep(): Promise<void>;
}

/** The attempts of `homeId` under `directory`; nothing is there as long as the directory is missing. */
export function createAttempts(homeId: string, directory: string): Attempts {
  const path = (name: string, file = ""): string => join(directory, name, file);
  const claimOf = (name: string): Claim | undefined =>
    NAME.test(name) ? readRecord<Claim>(path(name, FILES.claim)) : undefined;
  const own = (name: string): Claim | undefined => {
    const claim = claimOf(name);
    return claim?.homeId === homeId ? claim : undefined;
  };
  const readExit = (name: string): ExitRecord | undefined => readRecord<ExitRecord>(path(name, FILES.exit));
  const readStarted = (name: string): StartedRecord | undefined => readRecord<StartedRecord>(path(name, FILES.started));

  async function entries(): Promise<string[]> {
    try {
      return await readdir(directory);
    } catch (error) {
      // Nothing was ever started here.
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  const supervisorOf = (name: string): ProcessId | undefined => readRecord<ProcessId>(path(name, FILES.supervisor));

  async function exitOf(name: string): Promise<ExitRecord | undefined> {
    const claim = own(name);
    if (claim === undefined) return undefined;
    const exit = readExit(name);
    const supervisor = supervisorOf(name);
    if (exit !== undefined || supervisor === undefined || isAlive(supervisor)) return exit;
    // It may have written the record and gone between the two looks.
    return readExit(name) ?? (await endLost(name, claim));
  }

  /** The record is written once: of several who find the attempt lost, all give the first one's verdict. */
  async function endLost(name: string, claim: Claim): Promise<ExitRecord | undefined> {
    const started = readStarted(name);
    // The group is this job's for sure only while its leader lives; the markers find the others.
    const leaderPid = started !== undefined && isAlive(started.leader) ? started.leader.pid : null;
    await killAll(markers(claim.jobId, claim.attempt), leaderPid);
    end(name, lostOutcome(started, new Date()));
    return readExit(name);
  }

  function end(name: string, exit: ExitRecord): void {
    onceIn(name, FILES.exit, exit);
  }

  /** As writeOnce; an attempt that is being removed takes no record any more. */
  function onceIn(name: string, file: string, record: object): boolean {
    try {
      return writeOnce(path(name, file), record);
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  async function status(name: string): Promise<RuntimeStatus> {
    if (own(name) === undefined) return UNKNOWN;
    const exit = await exitOf(name);
    if (exit !== undefined) return statusOf({ exit });
    const started = readStarted(name);
    // Gone meanwhile: then it is not `created`, either.
    if (own(name) === undefined) return UNKNOWN;
    return statusOf(started === undefined ? {} : { started });
  }

  return {
    path,
    claimOf,
    own,
    supervisorOf,
    forsake: (name) => own(name) !== undefined && onceIn(name, FILES.supervisor, NOBODY),
    exitOf,
    status,
    groupOf(name) {
      const claim = own(name);
      const leader = readStarted(name)?.leader;
      if (claim === undefined || leader === undefined || !isAlive(leader)) return undefined;
      return { name, marks: markers(claim.jobId, claim.attempt), leaderPid: leader.pid };
    },
    end,
    isAbandoned(name) {
      const claim = own(name);
      return claim !== undefined && supervisorOf(name) === undefined && !isAlive(claim.claimant);
    },
    requestCancel(name, request) {
      const supervisor = own(name) === undefined ? undefined : supervisorOf(name);
      if (supervisor === undefined) return;
      try {
        replace(path(name, FILES.cancel), request);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
      // A process with that number that is not ours would not be harmed by it.
      signalProcess(supervisor, "SIGCONT");
    },
    names: async () => (await entries()).filter((name) => NAME.test(name)),
    async remove(name) {
      const trash = join(directory, `${TRASH_PREFIX}${name}-${randomBytes(6).toString("hex")}`);
      try {
        // First away from its name, whole: an emptied directory could be claimed a second time.
        await rename(path(name), trash);
      } catch (error) {
        if (isAbsent(error)) return;
        throw error;
      }
      await removeTree(trash);
    },
    async sweep() {
      for (const entry of await entries()) {
        const stale =
          entry.startsWith(CLAIM_PREFIX) &&
          identify(Number.parseInt(entry.slice(CLAIM_PREFIX.length), 10)) === undefined;
        if (stale || entry.startsWith(TRASH_PREFIX)) await removeTree(join(directory, entry));
      }
    },
  };
}

/** Removes a directory even if the job took its own right to it away. */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (errorCode(error) !== "EACCES" && errorCode(error) !== "EPERM") throw error;
    await unlock(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function unlock(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await unlock(join(path, entry.name));
  }
}

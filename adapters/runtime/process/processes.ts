import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessId {
  pid: number;
  /** The machine's boot and the process's start in it. */
  born: string;
}

/** The variables by which every process of an attempt is known, whatever group it moved to. */
export function markers(jobId: string, attempt: number): Record<string, string> {
  return { LONGSHORE_JOB_ID: jobId, LONGSHORE_ATTEMPT: String(attempt) };
}

/** The identity of a process that runs now; undefined when there is none, or only its zombie. */
export function identify(pid: number): ProcessId | undefined {
  if (process.platform !== "linux") return identifyByPs(pid);
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, born: `${bootId()}:${stat.startTicks}` };
}

/** Whether exactly this process still runs. */
export function isAlive(one: ProcessId): boolean {
  return identify(one.pid)?.born === one.born;
}

/** Sends a signal to exactly this process; false when it has ended. */
export function signalProcess(one: ProcessId, signal: NodeJS.Signals): boolean {
  return isAlive(one) && send(one.pid, signal);
}

/** Sends a signal to a process group; false when the group has ended. */
export function signalGroup(leaderPid: number, signal: NodeJS.Signals): boolean {
  return send(-leaderPid, signal);
}

/**
 * Every live process of an attempt: those in the group or the session of `leaderPid`, if it is given, and those that
 * carry the attempt's markers in the environment they were started with, which finds the ones that called setsid.
 * What did that and cleared its environment as well is not found; nor is anything where there is no /proc.
 */
function survivors(marks: Record<string, string>, leaderPid: number | null): number[] {
  if (process.platform !== "linux") return [];
  const wanted = marksOf(marks);
  const found: number[] = [];
  for (const pid of others()) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    const ofLeader = leaderPid !== null && (stat.group === leaderPid || stat.session === leaderPid);
    if (ofLeader || hasMarks(readProc(`/proc/${pid}/environ`), wanted)) found.push(pid);
  }
  return found;
}

/** An attempt by what its processes are known by. */
export interface Group {
  name: string;
  marks: Record<string, string>;
  leaderPid: number;
}

/**
 * The live processes of attempts, by the attempts' names, found as `killAll` finds them, in one look at all processes;
 * and the CPU time of each with that of its children that it has waited for, in ticks.
 */
export function processesOf(groups: readonly Group[]): Map<string, { pid: number; cpuTicks: number }[]> {
  const found = new Map<string, { pid: number; cpuTicks: number }[]>();
  if (process.platform !== "linux" || groups.length === 0) return found;
  const byLeader = new Map(groups.map((group) => [group.leaderPid, group]));
  const byMarks = new Map(groups.map((group) => [marksOf(group.marks).join(""), group]));
  for (const pid of others()) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    const group = byLeader.get(stat.group) ?? byLeader.get(stat.session) ?? byMarks.get(marksIn(pid));
    if (group === undefined) continue;
    const { cpuTicks } = stat;
    found.set(group.name, [...(found.get(group.name) ?? []), { pid, cpuTicks }]);
  }
  return found;
}

/** The markers in the environment that a process was started with, as `marksOf` puts them. */
function marksIn(pid: number): string {
  const found: Record<string, string> = {};
  for (const variable of readProc(`/proc/${pid}/environ`)?.split("\0") ?? []) {
    const at = variable.indexOf("=");
    found[variable.slice(0, at)] = variable.slice(at + 1);
  }
  return marksOf(markers(found.LONGSHORE_JOB_ID ?? "", Number(found.LONGSHORE_ATTEMPT ?? 0))).join("");
}

/** What `/proc` says of a process in one of its files; undefined when it ended, or belongs to somebody else. */
export function readOf(pid: number, file: "status" | "io"): string | undefined {
  return readProc(`/proc/${pid}/${file}`);
}

function* others(): Generator<number> {
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (Number.isInteger(pid) && pid !== process.pid) yield pid;
  }
}

function marksOf(marks: Record<string, string>): string[] {
  return Object.entries(marks).map(([name, value]) => `\0${name}=${value}\0`);
}

/**
 * Kills every process of an attempt and resolves when they are gone. Resolves with those that were still there after
 * `patienceMs` (default 5,000), such as ones in an uninterruptible read.
 */
export async function killAll(
  marks: Record<string, string>,
  leaderPid: number | null,
  patienceMs = 5_000,
): Promise<number[]> {
  const until = Date.now() + patienceMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    if (leaderPid !== null) signalGroup(leaderPid, "SIGKILL");
    // Whoever is found may have forked meanwhile: so again until nobody is.
    const left = survivors(marks, leaderPid);
    if (left.length === 0 || Date.now() > until) return left;
    for (const pid of left) send(pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function send(target: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ESRCH") return false;
    // EPERM: it changed its user. It is there, and out of reach; killAll reports it.
    if (code === "EPERM") return true;
    throw error;
  }
}

function hasMarks(environment: string | undefined, wanted: readonly string[]): boolean {
  if (environment === undefined) return false;
  const text = `\0${environment}`;
  return wanted.every((mark) => text.includes(mark));
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the name in brackets may hold spaces and brackets. */
function readStat(pid: number): { group: number; session: number; startTicks: string; cpuTicks: number } | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, , group, session] = fields;
  if (state === "Z" || state === "X") return undefined;
  // utime, stime, cutime and cstime.
  const cpuTicks = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  return { group: Number(group), session: Number(session), startTicks: fields[19] ?? "", cpuTicks };
}

/** Undefined when the process ended, or belongs to somebody else. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(code)) return undefined;
    throw error;
  }
}

let boot: string | undefined;
function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return boot;
}

/** Where there is no /proc (macOS), `ps` knows the second of the start. */
function identifyByPs(pid: number): ProcessId | undefined {
  try {
    const args = ["-o", "state=,lstart=", "-p", String(pid)];
    const answer = execFileSync("ps", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const [state = "Z", ...born] = answer.trim().split(/\s+/);
    return state.startsWith("Z") ? undefined : { pid, born: born.join(" ") };
  } catch {
    // ps exits with 1 when there is no such process.
    return undefined;
  }
}

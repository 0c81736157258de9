import { BUSYBOX_IMAGE } from "../lab/docker.ts";
import type { Spec } from "./contract.ts";

/** How the scenarios' jobs are written for one runtime. */
export interface RuntimeFacts {
  name: string;
  /** The documented events of a job that runs to its end, in order. */
  events: string[];
  /** Writes `one` and `two` to standard output and `oops` to standard error, and ends with the code. */
  talk(exitCode: number): Spec;
  /** Runs until it is stopped. */
  forever(more?: Spec): Spec;
}

const START = ["SUBMITTED", "ADMITTED", "VALIDATED"];
const END = ["CONTAINER_CREATING", "STARTED", "EXITED", "LOGS_COLLECTED", "COST_RECORDED"];

/** A job that runs a shell script as a plain process. */
export function processJob(script: string, more: Spec = {}): Spec {
  return { runtime: "process", command: ["/bin/sh", "-c", script], ...more };
}

/** A job that runs a shell script in a container of the test image. */
export function dockerJob(script: string, more: Spec = {}): Spec {
  return { runtime: "docker", image: BUSYBOX_IMAGE, command: ["sh", "-c", script], network: { mode: "none" }, ...more };
}

/** A job that runs nothing: its environment says how it lives. */
export function stubJob(env: Record<string, string> = {}, more: Spec = {}): Spec {
  return { runtime: "stub", env, ...more };
}

const talk = (exitCode: number) => `echo one; echo oops >&2; printf two; exit ${exitCode}`;

export const STUB: RuntimeFacts = {
  name: "stub",
  events: [...START, ...END],
  talk: (exitCode) => stubJob({ STUB_STDOUT: "one\ntwo", STUB_STDERR: "oops", STUB_EXIT_CODE: String(exitCode) }),
  forever: (more) => stubJob({ STUB_DURATION_MS: "forever" }, more),
};

export const PROCESS: RuntimeFacts = {
  name: "process",
  events: [...START, ...END],
  talk: (exitCode) => processJob(talk(exitCode)),
  forever: (more) => processJob("exec sleep 1000", more),
};

export const DOCKER: RuntimeFacts = {
  name: "docker",
  events: [...START, "IMAGE_PULLING", ...END],
  talk: (exitCode) => dockerJob(talk(exitCode)),
  // As the first process of a container it would not hear of SIGTERM without a trap.
  forever: (more) => dockerJob("trap 'exit 143' TERM; sleep 1000 & wait", more),
};

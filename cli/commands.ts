import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import { GLOBAL_FLAGS } from "./command.ts";

type Load = () => Promise<CommandDef<ArgsDef>>;

const jobs: Record<string, Load> = {
  list: () => import("./commands/jobs-list.ts").then((module) => module.jobsList),
  status: () => import("./commands/jobs-status.ts").then((module) => module.jobsStatus),
  logs: () => import("./commands/jobs-logs.ts").then((module) => module.jobsLogs),
  events: () => import("./commands/jobs-events.ts").then((module) => module.jobsEvents),
  cancel: () => import("./commands/jobs-cancel.ts").then((module) => module.jobsCancel),
  retry: () => import("./commands/jobs-retry.ts").then((module) => module.jobsRetry),
  artifacts: () => import("./commands/jobs-artifacts.ts").then((module) => module.jobsArtifacts),
  download: () => import("./commands/jobs-download.ts").then((module) => module.jobsDownload),
  cost: () => import("./commands/jobs-cost.ts").then((module) => module.jobsCost),
  top: () => import("./commands/jobs-top.ts").then((module) => module.jobsTop),
  submit: () => import("./commands/jobs-submit.ts").then((module) => module.jobsSubmit),
};

const deadLetters: Record<string, Load> = {
  list: () => import("./commands/dead-letters-list.ts").then((module) => module.deadLettersList),
  show: () => import("./commands/dead-letters-show.ts").then((module) => module.deadLettersShow),
  replay: () => import("./commands/dead-letters-replay.ts").then((module) => module.deadLettersReplay),
  rm: () => import("./commands/dead-letters-rm.ts").then((module) => module.deadLettersRm),
};

const runs: Record<string, Load> = {
  list: () => import("./commands/runs-list.ts").then((module) => module.runsList),
  show: () => import("./commands/runs-show.ts").then((module) => module.runsShow),
  rm: () => import("./commands/runs-rm.ts").then((module) => module.runsRm),
  cleanup: () => import("./commands/runs-cleanup.ts").then((module) => module.runsCleanup),
};

const runtimes: Record<string, Load> = {
  list: () => import("./commands/runtimes-list.ts").then((module) => module.runtimesList),
  health: () => import("./commands/runtimes-health.ts").then((module) => module.runtimesHealth),
};

/** The tree of commands; each is loaded when it is needed. */
export const longshore: CommandDef<ArgsDef> = defineCommand<ArgsDef>({
  meta: { name: "longshore", description: "Runs container jobs on any runtime" },
  args: { version: { type: "boolean", description: "Show the version" }, ...GLOBAL_FLAGS },
  subCommands: {
    run: () => import("./commands/run.ts").then((module) => module.run),
    jobs: defineCommand<ArgsDef>({
      meta: { name: "longshore jobs", description: "Look at jobs and act on them" },
      args: GLOBAL_FLAGS,
      default: "list",
      subCommands: jobs,
    }),
    runs: defineCommand<ArgsDef>({
      meta: { name: "longshore runs", description: "Look at the records of finished jobs, and erase them" },
      args: GLOBAL_FLAGS,
      default: "list",
      subCommands: runs,
    }),
    runtimes: defineCommand<ArgsDef>({
      meta: { name: "longshore runtimes", description: "Look at the places that run containers" },
      args: GLOBAL_FLAGS,
      default: "list",
      subCommands: runtimes,
    }),
    "dead-letters": defineCommand<ArgsDef>({
      meta: { name: "longshore dead-letters", description: "Look at jobs that failed for good, and replay them" },
      args: GLOBAL_FLAGS,
      default: "list",
      subCommands: deadLetters,
    }),
    dev: () => import("./commands/dev.ts").then((module) => module.dev),
  },
});

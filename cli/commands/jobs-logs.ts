import type { LogFilter } from "../../sdk/client.ts";
import type { LogLine } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { UsageError } from "../context.ts";
import { eachJob, JOB_IDS } from "../each.ts";
import { commaSeparated, moment, wholeNumber } from "../units.ts";
import { printLogLine } from "../watch-job.ts";

const STREAMS: readonly string[] = ["stdout", "stderr", "system"];

export const jobsLogs = command({
  name: "longshore jobs logs",
  description: "Show what jobs printed",
  args: {
    ...JOB_IDS,
    follow: { type: "boolean", alias: "f", description: "Go on until the job has ended" },
    tail: { type: "string", valueHint: "n", description: "Only the last so many lines" },
    since: { type: "string", valueHint: "time", description: "After a time, a span such as 10m, or a line's number" },
    stream: { type: "string", multiple: true, valueHint: "name", description: "Only stdout, stderr or system" },
  },
  run(cli, { flags, words }) {
    const filter: LogFilter = {
      ...(flags.tail === undefined ? {} : { tail: wholeNumber("--tail", flags.tail, [0, 10_000_000]) }),
      ...(flags.since === undefined ? {} : { since: since(flags.since) }),
      ...(flags.stream.length > 0 ? { streams: streams(flags.stream) } : {}),
    };
    const { jobs } = cli.home.client;
    return eachJob(cli, words, async (jobId) => {
      const lines = flags.follow ? jobs.followLogs(jobId, filter) : jobs.logs(jobId, filter);
      for await (const line of lines) await printLogLine(cli, line);
    });
  },
});

function since(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : moment("--since", text, Date.now());
}

function streams(values: string[]): LogLine["stream"][] {
  const names = commaSeparated(values);
  const unknown = names.find((name) => !STREAMS.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--stream ${JSON.stringify(unknown)} is none of ${STREAMS.join(", ")}`);
  return names as LogLine["stream"][];
}

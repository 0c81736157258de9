import { Logger as Powertools } from "@aws-lambda-powertools/logger";
import type { Context } from "aws-lambda";
import { loggable } from "../../engine/loggable.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { AwsSettings } from "./settings.ts";

/** The log of one Lambda process: every line names the function, the invocation and, where there is one, the job. */
export interface LambdaLogger extends Logger {
  /** The lines from here on belong to an invocation and, unless undefined, to a job. */
  begin(context: Context, jobId: string | undefined): void;
}

/** Keys that Powertools writes itself and refuses from us. */
const TAKEN = new Set(["level", "message", "sampling_rate", "service", "timestamp", "error"]);

/** A job's id anywhere in a line: in the name of an execution, the key of an item, the id of an event, a path. */
const JOB_ID = /job_[0-7][0-9A-HJKMNP-TV-Z]{25}/g;

/** The job of a line that does not name it as `jobId`, but speaks of one job only. */
function jobIn(fields: object): { jobId?: string } {
  if ("jobId" in fields) return {};
  const [jobId, ...others] = new Set(JSON.stringify(fields).match(JOB_ID));
  return jobId === undefined || others.length > 0 ? {} : { jobId };
}

/**
 * Longshore's own log as Powertools writes it: one JSON object a line. Of errors that Longshore did not write there is no
 * message, since a service's may quote what it was sent.
 */
export function createLambdaLogger(level: AwsSettings["LONGSHORE_LOG_LEVEL"]): LambdaLogger {
  const log = new Powertools({ serviceName: "longshore", logLevel: level });
  const line = (fields: object, message: string) => {
    const safe = loggable(fields, { stacks: false, ownWordsOnly: true });
    // An error stands under a name of our own: Powertools would format `error` with its stack.
    const renamed = Object.entries(safe).map(([name, value]) => [TAKEN.has(name) ? `${name}_` : name, value]);
    return { ...Object.fromEntries(renamed), ...jobIn(safe), message };
  };
  return {
    debug: (fields, message) => log.debug(line(fields, message)),
    info: (fields, message) => log.info(line(fields, message)),
    warn: (fields, message) => log.warn(line(fields, message)),
    error: (fields, message) => log.error(line(fields, message)),
    begin(context, jobId) {
      log.resetKeys();
      log.addContext(context);
      if (jobId !== undefined) log.appendKeys({ jobId });
    },
  };
}

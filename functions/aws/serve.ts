import type { Context } from "aws-lambda";
import { asLongshoreError, LongshoreError } from "../../engine/errors.ts";
import { isJobId } from "../../engine/ids.ts";
import type { Base } from "./context.ts";
import { createLambdaLogger, type LambdaLogger } from "./logger.ts";
import { readAwsSettings } from "./settings.ts";
import { createTrace, type Trace } from "./tracing.ts";
import { createWork } from "./work.ts";

/** A function's handler, as it is made once for a process. */
export type Handler<E, R> = (event: E, context: Context) => Promise<R> | R;

export interface ServeOptions<E> {
  /** The job that an event is about; default: it is about none, or about many. */
  jobIdOf?(event: E): string | undefined;
  /** Names of errors that are answers, by which the lifecycle goes on: no failures in the log. Default: none. */
  answers?: readonly string[];
}

/** A function's own handler, which middy types by what it may be called with, as one that is called here. */
export function invocable<E, R>(handler: unknown): Handler<E, R> {
  return handler as Handler<E, R>;
}

/** The job of a state of the lifecycle, from what Step Functions hands over. */
export function jobIdOfTask(payload: unknown): string | undefined {
  const { jobId, input } = (payload ?? {}) as { jobId?: unknown; input?: { jobId?: unknown } };
  const found = jobId ?? input?.jobId;
  return typeof found === "string" && isJobId(found) ? found : undefined;
}

interface Process extends Base {
  logger: LambdaLogger;
  trace: Trace;
}

let started: Process | undefined;

/** What this process has: one environment, one log, one of each client. */
function processOf(): Process {
  if (started !== undefined) return started;
  const settings = readAwsSettings(process.env);
  const logger = createLambdaLogger(settings.LONGSHORE_LOG_LEVEL);
  started = { settings, logger, work: createWork(logger), trace: createTrace(settings) };
  return started;
}

/**
 * A Lambda handler. What it works with is made with the first event, and again with the next one where that failed. It
 * answers when its background work has ended too: Lambda may freeze the process then. What it throws is logged here and
 * thrown on by its code and Longshore's own words only, since Lambda and Step Functions write down what they get.
 */
export function serve<E, R>(build: (base: Base) => Promise<Handler<E, R>>, options: ServeOptions<E> = {}) {
  let ready: Promise<Handler<E, R>> | undefined;
  return async (event: E, context: Context): Promise<R> => {
    const { logger, work, trace, ...base } = processOf();
    const jobId = options.jobIdOf?.(event);
    logger.begin(context, jobId);
    work.begin(context.getRemainingTimeInMillis());
    try {
      return await trace(context.functionName, jobId, async () => {
        ready ??= build({ ...base, logger, work });
        try {
          const handler = await ready.catch((error: unknown) => {
            ready = undefined;
            throw error;
          });
          return await handler(event, context);
        } finally {
          await work.settled();
        }
      });
    } catch (thrown) {
      const error = asLongshoreError(thrown);
      if (options.answers?.includes(error.name))
        logger.info({ answer: error.name }, "an invocation answers by an error");
      else logger.error({ failure: error }, "an invocation failed");
      throw told(error);
    } finally {
      work.end();
    }
  };
}

/**
 * An error without its cause, its stack and its details. One that has a name of its own keeps it: the lifecycle decides
 * by the names of errors, such as `AttemptInDoubt`. Any other one is named by its code.
 */
export function told({ name, code, message }: LongshoreError): LongshoreError {
  const error = new LongshoreError(code, message);
  error.name = name === error.name ? code : name;
  error.stack = `${error.name}: ${message}`;
  return error;
}

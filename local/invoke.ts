import type { Context } from "aws-lambda";

/** A handler as a Lambda function exports it. */
type Invocable<E, R> = (event: E, context: Context) => Promise<R> | R;

// Handlers here use nothing of Lambda's context; they are called with an empty one.
const CONTEXT = {} as Context;

/** Calls a function's handler inside this process, as Lambda would. */
export async function invoke<E, R>(handler: unknown, event: E): Promise<R> {
  return await (handler as Invocable<E, R>)(event, CONTEXT);
}

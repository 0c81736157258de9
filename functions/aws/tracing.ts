import type { AwsSettings } from "./settings.ts";

/** Runs the work of an invocation as a part of its trace, with the job's id to find it by. */
export type Trace = <T>(name: string, jobId: string | undefined, work: () => Promise<T>) => Promise<T>;

/**
 * Tracing by AWS X-Ray, where the operator wants it; else the work is only run. The library is loaded with the first
 * invocation. A trace gets names and ids, never an answer, an event or an error's text.
 */
export function createTrace(settings: AwsSettings): Trace {
  if (settings.LONGSHORE_TRACING === "off") return (_name, _jobId, work) => work();
  const loaded = import("@aws-lambda-powertools/tracer").then(
    ({ Tracer }) => new Tracer({ serviceName: "longshore", captureHTTPsRequests: false }),
  );
  // Whoever awaits it hears of a failure; without this it would also count as unhandled.
  loaded.catch(() => undefined);
  return async (name, jobId, work) => {
    const tracer = await loaded;
    const parent = tracer.getSegment();
    const segment = parent?.addNewSubsegment(`## ${name}`);
    if (segment === undefined || parent === undefined) return await work();
    tracer.setSegment(segment);
    tracer.annotateColdStart();
    tracer.addServiceNameAnnotation();
    if (jobId !== undefined) tracer.putAnnotation("jobId", jobId);
    try {
      return await work();
    } catch (error) {
      segment.addFaultFlag();
      throw error;
    } finally {
      segment.close();
      tracer.setSegment(parent);
    }
  };
}

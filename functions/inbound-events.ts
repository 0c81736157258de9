import middy from "@middy/core";
import * as z from "zod";
import type { EngineContext } from "../engine/context.ts";
import { asLongshoreError, ERRORS, LongshoreError } from "../engine/errors.ts";
import { submitJob } from "../engine/operations/submit.ts";
import type { Bus } from "../engine/ports/bus.ts";
import { parseJobSpec } from "../engine/spec/parse.ts";
import { redactSpec } from "../engine/spec/redact.ts";
import { traceOf } from "../engine/trace.ts";

const eventSchema = z.object({
  id: z.string().min(1).max(255),
  source: z.string().min(1).max(256),
  time: z.iso.datetime({ offset: true }),
  detail: z.unknown(),
});
const detailSchema = z.object({
  spec: z.unknown(),
  idempotencyKey: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional(),
  // As CloudEvents' extension for distributed tracing names them; what is not valid is ignored.
  traceparent: z.unknown().optional(),
  tracestate: z.unknown().optional(),
});
type InboundEvent = z.infer<typeof eventSchema>;

/**
 * How long an event is tried when it is not its own fault that it fails, milliseconds. Lambda delivers it again after
 * one minute and after two more; the last of the three is the one that gives up.
 */
const PATIENCE_MS = 150_000;

/**
 * "Job Submission Requested" on the bus: submits its spec, once for its idempotency key or else for its id. What cannot
 * be accepted is told as "Job Submission Rejected", which repeats nothing of the spec. A spec with a secret value in
 * plain text is refused: whoever put it on the bus showed it to all who listen there. References are welcome.
 */
export function makeHandler(ctx: EngineContext, bus: Bus) {
  return middy<unknown, null>().handler(async (payload) => {
    const event = eventSchema.parse(payload);
    try {
      const { spec, idempotencyKey = event.id, ...trace } = detailOf(event);
      refusePlainSecrets(spec);
      const job = await submitJob(ctx, spec, {
        caller: `event:${event.source}`,
        idempotencyKey,
        trace: traceOf(trace),
      });
      ctx.logger.info({ jobId: job.jobId, event: event.id, source: event.source }, "an event submitted a job");
    } catch (thrown) {
      const error = asLongshoreError(thrown);
      const isOld = ctx.clock() - Date.parse(event.time) >= PATIENCE_MS;
      if (!isOwnFault(error) && !isOld) throw error;
      ctx.logger.warn(
        { event: event.id, source: event.source, code: error.code },
        "an event's submission was rejected",
      );
      await reject(bus, event, error);
    }
    return null;
  });
}

function detailOf({ detail }: InboundEvent): z.infer<typeof detailSchema> {
  const parsed = detailSchema.safeParse(detail);
  if (parsed.success) return parsed.data;
  const message = "detail: { spec, idempotencyKey? } is required, the key 1 to 255 printable ASCII characters";
  const violations = [{ path: "detail", code: "invalid_detail", message }];
  throw new LongshoreError("VALIDATION", message, { violations });
}

function refusePlainSecrets(input: unknown): void {
  const { secretValues } = redactSpec(parseJobSpec(input));
  if (secretValues.length === 0) return;
  const message = "the spec holds a sensitive value in plain text: name its source under secrets instead";
  throw new LongshoreError("VALIDATION", message, { violations: [{ path: "spec", code: "plain_secret", message }] });
}

/** Whether the same event could only be refused again. */
function isOwnFault({ code }: LongshoreError): boolean {
  const { http } = ERRORS[code];
  return http < 500 && code !== "QUEUE_FULL" && code !== "QUOTA";
}

async function reject(bus: Bus, event: InboundEvent, { code, message, violations }: LongshoreError): Promise<void> {
  const id = `${event.id}#rejected`;
  const { failed } = await bus.publish([
    {
      id,
      source: "longshore",
      detailType: "Job Submission Rejected",
      detail: {
        specversion: "1.0",
        id,
        source: "longshore",
        type: "SUBMISSION_REJECTED",
        subject: event.id,
        datacontenttype: "application/json",
        data: { eventId: event.id, source: event.source, code, message, ...(violations && { violations }) },
      },
    },
  ]);
  if (failed.length > 0) throw new LongshoreError("UNAVAILABLE", "the bus did not take a rejection");
}

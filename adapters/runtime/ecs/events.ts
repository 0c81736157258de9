import * as z from "zod";
import { isJobId, type JobId } from "../../../engine/ids.ts";
import type { ExternalRef, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { identityOf } from "./names.ts";
import { statusOf } from "./status.ts";

/** What an event of ECS says of an attempt. */
export interface TaskNews {
  externalRef: ExternalRef;
  externalName: string;
  jobId: JobId;
  attempt: number;
  status: RuntimeStatus;
}

const container = z.object({
  name: z.string().optional(),
  exitCode: z.number().int().optional(),
  reason: z.string().optional(),
});

/** Fields that are not read here may be anything: ECS adds to its events. */
const schema = z.object({
  source: z.literal("aws.ecs"),
  "detail-type": z.literal("ECS Task State Change"),
  detail: z.object({
    clusterArn: z.string(),
    taskArn: z.string(),
    lastStatus: z.string(),
    desiredStatus: z.string().optional(),
    group: z.string().optional(),
    startedBy: z.string().optional(),
    stopCode: z.string().optional(),
    stoppedReason: z.string().optional(),
    startedAt: z.string().optional(),
    stoppedAt: z.string().optional(),
    executionStoppedAt: z.string().optional(),
    containers: z.array(container).default([]),
  }),
});

/**
 * What an EventBridge event says of an attempt of this home; null for any other event. Events come more than once and in
 * any order: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
 * A task that has ended does not change any more, so that whoever acts on ends alone need not compare versions.
 */
export function newsOf(event: unknown, own: { homeId: string; clusterArn: string }): TaskNews | null {
  const parsed = schema.safeParse(event);
  if (!parsed.success) return null;
  const { detail } = parsed.data;
  const identity = identityOf(detail.group);
  if (identity === null || identity.homeId !== own.homeId || detail.clusterArn !== own.clusterArn) return null;
  const { jobId, attempt } = identity;
  if (!isJobId(jobId)) return null;
  const { taskArn: externalRef, startedBy: externalName = "" } = detail;
  return { externalRef, externalName, jobId, attempt, status: statusOf(detail) };
}

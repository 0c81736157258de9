import { createHash } from "node:crypto";
import { LABELS } from "../../../engine/naming.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import type { Place } from "./options.ts";

/** The job's container in its task. */
export const CONTAINER = "job";

/** Why a task was stopped, when it was Longshore: its end is nobody's failure. */
export const STOP_REASON = "stopped by Longshore";

/** Who an attempt is. */
export interface Identity {
  homeId: string;
  jobId: string;
  attempt: number;
}

/**
 * The token that makes RunTask idempotent, the same for every try of an attempt: 64 characters, which is the most. ECS
 * forgets it an hour after the task has stopped, or after 24 hours:
 * https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
 * @param replaces the attempt's task that ECS stopped before it was started, which the token without it stands for as long.
 */
export function clientToken({ homeId, jobId, attempt }: Identity, replaces?: string): string {
  const words = [homeId, jobId, attempt, ...(replaces === undefined ? [] : [replaces])];
  return createHash("sha256").update(words.join("/")).digest("hex");
}

/** The task group, which every event of the task carries, as the tags are in none: who the task is. */
export function groupOf({ homeId, jobId, attempt }: Identity): string {
  return `longshore:${homeId}:${jobId}:${attempt}`;
}

/** Who a task group says a task is; null for one that is not Longshore's. */
export function identityOf(group: string | undefined): Identity | null {
  const [, homeId, jobId, attempt] = /^longshore:([\w-]+):(\w+):(\d{1,9})$/.exec(group ?? "") ?? [];
  return homeId && jobId && attempt ? { homeId, jobId, attempt: Number(attempt) } : null;
}

interface Tag {
  key: string;
  value: string;
}

/** The labels of an attempt's resources, as tags. */
export function tagsOf({ jobId, attempt, spec }: Launch, homeId: string): Tag[] {
  return [
    { key: LABELS.home, value: homeId },
    { key: LABELS.job, value: jobId },
    { key: LABELS.attempt, value: String(attempt) },
    { key: LABELS.cleanup, value: spec.cleanup },
  ];
}

/** The value of a tag; undefined without one. */
export function tagged(
  tags: readonly { key?: string | undefined; value?: string | undefined }[] | undefined,
  key: string,
): string | undefined {
  return tags?.find((tag) => tag.key === key)?.value;
}

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a text can be an external name at all. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Whether a text is the ARN of a task of the cluster. */
export function isTaskArn(text: string, { partition, region, account, cluster }: Place): boolean {
  const prefix = `arn:${partition}:ecs:${region}:${account}:task/${cluster}/`;
  return text.startsWith(prefix) && /^[0-9a-f-]{32,36}$/.test(text.slice(prefix.length));
}

/** The last part of a task's ARN. */
function taskId(arn: string): string {
  return arn.slice(arn.lastIndexOf("/") + 1);
}

/** What all log streams of a home begin with; the awslogs driver puts the container's name and the task's id behind it. */
export function streamPrefix(homeId: string): string {
  return `longshore/${homeId}`;
}

/** The log stream of a task: none of another home's can be named with it. */
export function streamOf(homeId: string, arn: string): string {
  return `${streamPrefix(homeId)}/${CONTAINER}/${taskId(arn)}`;
}

/** What the families of a home's attempts' own task definitions begin with. */
export function familyPrefix(homeId: string, externalName?: string): string {
  return `longshore_${homeId}_${externalName === undefined ? "" : `${externalName}_`}`;
}

/** The family of an attempt's own task definition; it says whose it is. */
export function attemptFamily({ externalName, jobId }: Pick<Launch, "externalName" | "jobId">, homeId: string): string {
  return `${familyPrefix(homeId, externalName)}${jobId}`;
}

/** Whose task definition a family is, from the name alone; null when it is no attempt's of this home. */
export function attemptOfFamily(
  family: string,
  homeId: string,
): { externalName: string; jobId: string; attempt: number } | null {
  if (!family.startsWith(familyPrefix(homeId))) return null;
  const rest = family.slice(familyPrefix(homeId).length);
  const [, externalName, attempt, jobId] = /^([a-z0-9-]+-a(\d{1,9}))_(\w+)$/.exec(rest) ?? [];
  return externalName && attempt && jobId ? { externalName, jobId, attempt: Number(attempt) } : null;
}

/** The family in the ARN of a task definition: `arn:…:task-definition/FAMILY:REVISION`. */
export function familyOf(arn: string | undefined): string {
  return /:task-definition\/([^:]+):\d+$/.exec(arn ?? "")?.[1] ?? "";
}

/** The path below which the parameters of an attempt are. */
export function parameterPath(prefix: string, homeId: string, externalName: string): string {
  return `${prefix}${homeId}/${externalName}/`;
}

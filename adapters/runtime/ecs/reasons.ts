import type { Category } from "../../../engine/errors.ts";

/** What a text of ECS means. */
export interface Reason {
  category: Category;
  /** ECS's own word for it, such as `CannotPullContainerError`. */
  providerCode: string;
}

type Rule = [pattern: RegExp, category: Category];

const FAR_AWAY =
  /dial tcp|i\/o timeout|no such host|connection (?:refused|reset)|deadline exceeded|context canceled|TLS handshake/i;

/** Why an image was not pulled: the registry's words, as they reach the task's reason. */
const PULL: readonly Rule[] = [
  [
    /toomanyrequests|rate limit|no space left|retrieve pull auth|ref pull has been retried.*failed to copy/i,
    "IMAGE_PULL",
  ],
  [FAR_AWAY, "IMAGE_PULL"],
  [
    /unauthori[sz]ed|authentication required|authorization failed|no basic auth|access ?denied|forbidden|\b40[13]\b|insufficient_scope|not authorized/i,
    "AUTH",
  ],
  [
    /manifest unknown|name unknown|not found|does not exist|no matching manifest|does not match the specified platform|invalid (?:image )?reference/i,
    "NOT_FOUND",
  ],
];

/** Why what a task needs was not there: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html */
const INITIALIZATION: readonly Rule[] = [
  [FAR_AWAY, "RUNTIME_UNAVAILABLE"],
  [/access ?denied|not authorized|unable to assume|cannot be assumed/i, "AUTH"],
  [/ResourceNotFound|ParameterNotFound|invalid (?:ssm )?parameters|can't find the specified secret/i, "NOT_FOUND"],
];

const START: readonly Rule[] = [
  [
    /executable file not found|exec format error|no such file or directory|permission denied|is a directory/i,
    "USER_CODE",
  ],
  [/unable to find (?:user|group)|no users found|chdir to cwd|working directory|invalid environment/i, "VALIDATION"],
];

/** Texts that ECS does not put a code before. */
const UNCODED: readonly (readonly [RegExp, Category, string])[] = [
  [
    /NetworkInterfaceLimitExceeded|(?:reached|exceeds?|above) (?:the|your) (?:\w+ )?limit|limit exceeded|quota/i,
    "QUOTA",
    "LimitExceeded",
  ],
  [
    /capacity is unavailable|insufficient capacity|EMPTY CAPACITY PROVIDER|no (?:active |container )?instances/i,
    "RUNTIME_UNAVAILABLE",
    "CapacityUnavailable",
  ],
  [/InsufficientFreeAddresses/i, "RUNTIME_UNAVAILABLE", "InsufficientFreeAddressesInSubnet"],
  [/network interface/i, "RUNTIME_UNAVAILABLE", "NetworkInterface"],
  [/timeout waiting for|timed out/i, "RUNTIME_UNAVAILABLE", "Timeout"],
  [
    /host ec2 .*(?:terminated|stopped)|instance .*(?:terminated|stopped|deregistration)|agent (?:was )?disconnected/i,
    "RUNTIME_UNAVAILABLE",
    "InstanceLost",
  ],
  [/maintenance|retire/i, "RUNTIME_UNAVAILABLE", "Maintenance"],
  [/internal error|unexpected ec2 error/i, "RUNTIME_UNAVAILABLE", "InternalError"],
];

/** What precedes the colon in a task's or a container's reason, and what it means when the words behind it say nothing. */
const CODED: Readonly<Record<string, { rules: readonly Rule[]; otherwise: Category }>> = {
  CannotPullContainerError: { rules: PULL, otherwise: "IMAGE_PULL" },
  CannotPullECRContainerError: { rules: PULL, otherwise: "IMAGE_PULL" },
  CannotPullImageManifestError: { rules: PULL, otherwise: "IMAGE_PULL" },
  ResourceInitializationError: { rules: INITIALIZATION, otherwise: "RUNTIME_UNAVAILABLE" },
  CannotStartContainerError: { rules: START, otherwise: "UNKNOWN" },
  CannotCreateContainerError: { rules: START, otherwise: "UNKNOWN" },
  CannotCreateVolumeError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  CannotInspectContainerError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  CannotStopContainerError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  ContainerRuntimeError: { rules: START, otherwise: "RUNTIME_UNAVAILABLE" },
  ContainerRuntimeTimeoutError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  DockerTimeoutError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  DockerStateError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  InternalError: { rules: [], otherwise: "RUNTIME_UNAVAILABLE" },
  TaskFailedToStart: { rules: [], otherwise: "UNKNOWN" },
  OutOfMemoryError: { rules: [], otherwise: "OOM" },
  OutOfMemory: { rules: [], otherwise: "OOM" },
};

/**
 * What the reason of a stopped task or container means; null for one that says nothing. The codes are ECS's:
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
 */
export function reasonOf(text: string | undefined): Reason | null {
  if (text === undefined || text === "") return null;
  const code = /^\s*(?:Task failed to start: )?(\w+?):? ?(?:\s|:|$)/.exec(text)?.[1] ?? "";
  const coded = Object.hasOwn(CODED, code) ? CODED[code] : undefined;
  if (coded !== undefined) {
    const category = coded.rules.find(([pattern]) => pattern.test(text))?.[1];
    if (category !== undefined) return { category, providerCode: code };
    // A code that only says that something failed leaves it to the words.
    if (coded.otherwise !== "UNKNOWN") return { category: coded.otherwise, providerCode: code };
  }
  const uncoded = UNCODED.find(([pattern]) => pattern.test(text));
  if (uncoded !== undefined) return { category: uncoded[1], providerCode: uncoded[2] };
  return coded === undefined ? null : { category: "UNKNOWN", providerCode: code };
}

/** Reasons in the failures of a RunTask that was answered well: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html */
const PLACEMENT: readonly Rule[] = [
  [/^RESOURCE:|^AGENT$|^INACTIVE$|^MISSING$|^NO ACTIVE INSTANCES$/i, "RUNTIME_UNAVAILABLE"],
  // No instance of the cluster is of the kind that the task needs, and none becomes so by itself.
  [/^(?:ATTRIBUTE|LOCATION|MemberOf placement constraint unsatisfied)/i, "VALIDATION"],
];

/** What a failure of RunTask means: capacity may come back, a quota has to be raised. */
export function placementReason(reason: string | undefined, detail?: string): Reason {
  const text = reason ?? "";
  const rule = PLACEMENT.find(([pattern]) => pattern.test(text));
  const providerCode = /^[A-Z][A-Z_:*]+$/.test(text) ? text : "RunTaskFailure";
  if (rule !== undefined) return { category: rule[1], providerCode: text };
  return reasonOf(text) ?? reasonOf(detail) ?? { category: "UNKNOWN", providerCode };
}

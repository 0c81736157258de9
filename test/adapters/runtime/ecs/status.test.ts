import { describe, expect, it } from "vitest";
import { newsOf } from "../../../../adapters/runtime/ecs/events.ts";
import { STOP_REASON } from "../../../../adapters/runtime/ecs/names.ts";
import { placementReason, reasonOf } from "../../../../adapters/runtime/ecs/reasons.ts";
import {
  isThrottled,
  isUncertain,
  lacksDefinition,
  placementFailure,
  refusal,
} from "../../../../adapters/runtime/ecs/refusals.ts";
import { isKept, statusOf, type TaskFacts, UNKNOWN_STATUS } from "../../../../adapters/runtime/ecs/status.ts";

const STARTED = "2026-08-01T10:00:30.123Z";
const ENDED = "2026-08-01T10:05:00.456Z";
const REASON = "Essential container in task exited";

const ended = (more: Partial<TaskFacts> = {}, container: object = { exitCode: 0 }): TaskFacts => ({
  lastStatus: "STOPPED",
  desiredStatus: "STOPPED",
  stopCode: "EssentialContainerExited",
  stoppedReason: REASON,
  startedAt: new Date(STARTED),
  executionStoppedAt: new Date(ENDED),
  stoppedAt: new Date("2026-08-01T10:05:20.000Z"),
  containers: [{ name: "job", ...container }],
  ...more,
});
const unstarted = (stoppedReason: string, more: Partial<TaskFacts> = {}): TaskFacts => {
  const { startedAt: _, executionStoppedAt: __, ...task } = ended({}, {});
  return { ...task, stopCode: "TaskFailedToStart", stoppedReason, ...more };
};

describe("the status of a task", () => {
  it.each([
    ["PROVISIONING", "RUNNING", null, "created"],
    ["PENDING", "RUNNING", null, "created"],
    ["ACTIVATING", "RUNNING", null, "created"],
    ["RUNNING", "RUNNING", STARTED, "running"],
    ["RUNNING", "STOPPED", STARTED, "running"],
    ["DEACTIVATING", "STOPPED", STARTED, "running"],
    ["STOPPING", "STOPPED", STARTED, "running"],
    ["DEPROVISIONING", "STOPPED", STARTED, "running"],
    // Stopped before its command was started.
    ["PENDING", "STOPPED", null, "created"],
    ["DEPROVISIONING", "STOPPED", null, "created"],
    ["SOMETHING_NEW", "RUNNING", STARTED, "running"],
  ] as const)("%s with desired %s is %4$s", (...[lastStatus, desiredStatus, startedAt, phase]) => {
    const times = startedAt === null ? {} : { startedAt };
    // The container may have ended already: the task has not.
    const containers = [{ name: "job", exitCode: 3 }];
    expect(statusOf({ lastStatus, desiredStatus, containers, ...times })).toEqual({
      ...UNKNOWN_STATUS,
      phase,
      startedAt,
    });
  });

  it("is unknown without a task", () => expect(statusOf(undefined)).toEqual(UNKNOWN_STATUS));

  it.each([0, 1, 126, 127, 137, 143, 255])("has the command's own exit code %i", (exitCode) => {
    expect(statusOf(ended({}, { exitCode }))).toEqual({
      phase: "exited",
      exitCode,
      oom: false,
      failure: null,
      startedAt: STARTED,
      finishedAt: ENDED,
    });
  });

  it("ends when its command ended, not when ECS had tidied up; and never before it began", () => {
    expect(statusOf(ended({ executionStoppedAt: undefined })).finishedAt).toBe("2026-08-01T10:05:20.000Z");
    expect(statusOf(ended({ executionStoppedAt: "2026-08-01T10:00:29.000Z" })).finishedAt).toBe(STARTED);
    expect(statusOf(ended({ startedAt: "never" })).startedAt).toBeNull();
  });

  it("reads the container of the job", () => {
    const containers = [
      { name: "ecs-guardduty-agent", exitCode: 9 },
      { name: "job", exitCode: 4 },
    ];
    expect(statusOf(ended({ containers })).exitCode).toBe(4);
  });

  it.each([
    "OutOfMemoryError: Container killed due to memory usage",
    "OutOfMemoryError: container killed due to memory usage",
    "OutOfMemory",
  ])("knows %s", (reason) => {
    expect(statusOf(ended({}, { exitCode: 137, reason }))).toMatchObject({
      exitCode: 137,
      oom: true,
      failure: { category: "OOM" },
    });
    expect(statusOf(ended({}, { exitCode: 1, reason })).oom).toBe(true);
    // A child was killed, and the command coped with it.
    expect(statusOf(ended({}, { exitCode: 0, reason }))).toMatchObject({ oom: false, failure: null });
  });

  it.each([
    ["SpotInterruption", "Your Spot Task was interrupted."],
    ["TerminationNotice", "Amazon ECS is performing maintenance on the underlying infrastructure hosting the task."],
    ["InfrastructureHealth", "the host was not healthy"],
    ["ServiceSchedulerInitiated", "Scaling activity initiated by deployment ecs-svc/1"],
  ])("was taken away by %s, whatever its exit code", (stopCode, stoppedReason) => {
    for (const exitCode of [0, 143, 137]) {
      expect(statusOf(ended({ stopCode, stoppedReason }, { exitCode }))).toMatchObject({
        exitCode,
        oom: false,
        failure: { category: "RUNTIME_UNAVAILABLE", providerCode: stopCode },
      });
    }
  });

  it("is nobody's failure when Longshore stopped it, before its start and after", () => {
    const own = { stopCode: "UserInitiated", stoppedReason: STOP_REASON };
    expect(statusOf(ended(own, { exitCode: 137 }))).toMatchObject({ exitCode: 137, failure: null });
    expect(statusOf(unstarted(STOP_REASON, own))).toMatchObject({ exitCode: null, failure: null, startedAt: null });
  });

  it.each([
    ["Task stopped by user", "USER_CODE", "UserInitiated"],
    ["Host EC2 (instance i-0123456789abcdef0) terminated.", "RUNTIME_UNAVAILABLE", "InstanceLost"],
    ["Container instance deregistration forced by user.", "RUNTIME_UNAVAILABLE", "InstanceLost"],
  ])("was stopped by somebody else: %s", (stoppedReason, category, providerCode) => {
    expect(statusOf(ended({ stopCode: "UserInitiated", stoppedReason }, { exitCode: 143 })).failure).toMatchObject({
      category,
      providerCode,
    });
  });

  it("says what ECS said of a task that was never started, on one line", () => {
    const reason = "CannotPullContainerError: ref pull has been\n  retried 5 time(s): manifest unknown";
    expect(statusOf(unstarted("Task failed to start", { containers: [{ name: "job", reason }] }))).toMatchObject({
      phase: "exited",
      exitCode: null,
      failure: {
        category: "NOT_FOUND",
        message: "ECS: CannotPullContainerError: ref pull has been retried 5 time(s): manifest unknown",
        providerCode: "CannotPullContainerError",
      },
    });
    expect(statusOf(unstarted("")).failure).toEqual({
      category: "UNKNOWN",
      message: "ECS does not say why the task was not started",
      providerCode: "TaskFailedToStart",
    });
    expect(statusOf(unstarted("x".repeat(5000))).failure?.message.length).toBeLessThan(320);
  });

  it("is kept by its policy", () => {
    const [well, badly] = [statusOf(ended()), statusOf(ended({}, { exitCode: 1 }))];
    expect([isKept("never", well), isKept("onSuccess", well), isKept("onSuccess", badly)]).toEqual([true, false, true]);
    expect([isKept("always", badly), isKept(undefined, badly), isKept("never", UNKNOWN_STATUS)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

// As the documentation and the agents have them:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
describe("a reason", () => {
  it.each([
    [
      "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref 111122223333.dkr.ecr.us-east-1.amazonaws.com/app:latest: failed to do request: Head: dial tcp 10.0.0.1:443: i/o timeout",
      "IMAGE_PULL",
    ],
    [
      "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/nothere:1: docker.io/library/nothere:1: not found",
      "NOT_FOUND",
    ],
    [
      "CannotPullContainerError: Error response from daemon: manifest for app:9 not found: manifest unknown",
      "NOT_FOUND",
    ],
    [
      "CannotPullContainerError: Error response from daemon: pull access denied for app, repository does not exist or may require 'docker login': denied",
      "AUTH",
    ],
    [
      "CannotPullContainerError: inspect image has been retried 1 time(s): failed to resolve ref: unexpected status code 403 Forbidden",
      "AUTH",
    ],
    [
      "CannotPullContainerError: inspect image has been retried 5 time(s): httpReaderSeeker: failed open: unexpected status code: 429 toomanyrequests: You have reached your pull rate limit",
      "IMAGE_PULL",
    ],
    ["CannotPullContainerError: write /var/lib/containerd/tmp: no space left on device", "IMAGE_PULL"],
    [
      "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64': no matching manifest",
      "NOT_FOUND",
    ],
    ["CannotPullECRContainerError: AccessDeniedException: not authorized to perform ecr:GetAuthorizationToken", "AUTH"],
    [
      "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException",
      "AUTH",
    ],
    [
      "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: invalid ssm parameters: /longshore/x",
      "NOT_FOUND",
    ],
    [
      "ResourceInitializationError: unable to pull secrets or registry auth: RequestError: send request failed caused by: dial tcp: i/o timeout",
      "RUNTIME_UNAVAILABLE",
    ],
    [
      "ResourceInitializationError: failed to initialize logging driver: failed to create Cloudwatch log stream",
      "RUNTIME_UNAVAILABLE",
    ],
    [
      'CannotStartContainerError: Error response from daemon: OCI runtime create failed: exec: "/no/such": stat /no/such: no such file or directory: unknown',
      "USER_CODE",
    ],
    ['CannotStartContainerError: exec: "job": executable file not found in $PATH', "USER_CODE"],
    ["CannotStartContainerError: unable to find user nobody2: no matching entries in passwd file", "VALIDATION"],
    ["CannotStartContainerError: failed to get container status", "UNKNOWN"],
    ["CannotCreateVolumeError: Get https://...: volume driver", "RUNTIME_UNAVAILABLE"],
    ["ContainerRuntimeError: failed to create container runtime task", "RUNTIME_UNAVAILABLE"],
    [
      "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m0s",
      "RUNTIME_UNAVAILABLE",
    ],
    ["DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s", "RUNTIME_UNAVAILABLE"],
    ["InternalError: failed to create container model spec", "RUNTIME_UNAVAILABLE"],
    ["Timeout waiting for network interface provisioning to complete.", "RUNTIME_UNAVAILABLE"],
    ["Timeout waiting for EphemeralStorage provisioning to complete.", "RUNTIME_UNAVAILABLE"],
    [
      "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
      "RUNTIME_UNAVAILABLE",
    ],
    ["Unexpected EC2 error while attempting to Create Network Interface: NetworkInterfaceLimitExceeded", "QUOTA"],
    ["TaskFailedToStart: EMPTY CAPACITY PROVIDER", "RUNTIME_UNAVAILABLE"],
    [
      "Capacity is unavailable at this time. Please try again later or in a different availability zone",
      "RUNTIME_UNAVAILABLE",
    ],
  ])("%s", (text, category) => expect(reasonOf(text)?.category).toBe(category));

  it.each([undefined, "", REASON, "Task stopped by user", "toString: x"])("%s says nothing", (text) =>
    expect(reasonOf(text)).toBeNull(),
  );
});

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
describe("a failure of RunTask that was answered well", () => {
  it.each([
    ["RESOURCE:CPU", "RUNTIME_UNAVAILABLE", "RESOURCE:CPU"],
    ["RESOURCE:MEMORY", "RUNTIME_UNAVAILABLE", "RESOURCE:MEMORY"],
    ["RESOURCE:ENI", "RUNTIME_UNAVAILABLE", "RESOURCE:ENI"],
    ["AGENT", "RUNTIME_UNAVAILABLE", "AGENT"],
    ["INACTIVE", "RUNTIME_UNAVAILABLE", "INACTIVE"],
    ["ATTRIBUTE", "VALIDATION", "ATTRIBUTE"],
    ["LOCATION", "VALIDATION", "LOCATION"],
    [
      "Capacity is unavailable at this time. Please try again later or in a different availability zone",
      "RUNTIME_UNAVAILABLE",
      "CapacityUnavailable",
    ],
    ["You've reached the limit on the number of vCPUs you can run concurrently", "QUOTA", "LimitExceeded"],
    ["The requested MEMORY configuration is above your limit", "QUOTA", "LimitExceeded"],
    ["something else", "UNKNOWN", "RunTaskFailure"],
  ])("%s is %s", (reason, category, providerCode) =>
    expect(placementReason(reason)).toEqual({ category, providerCode }),
  );

  it("is a failure even without a word", () => {
    expect(placementFailure([])).toMatchObject({ code: "UNKNOWN" });
    expect(placementFailure(undefined)).toMatchObject({ code: "UNKNOWN" });
    expect(placementFailure([{ reason: "RESOURCE:CPU", detail: "none free" }]).message).toContain(
      "RESOURCE:CPU: none free",
    );
  });
});

describe("a refused call", () => {
  const thrown = (name: string, message = "", httpStatusCode: number | undefined = 400) =>
    Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });

  it.each([
    ["AccessDeniedException", "", "AUTH"],
    ["BlockedException", "", "AUTH"],
    ["ClusterNotFoundException", "", "RUNTIME_UNAVAILABLE"],
    ["InvalidParameterException", "No Fargate configuration exists for given values", "VALIDATION"],
    ["LimitExceededException", "", "QUOTA"],
    ["PlatformUnknownException", "", "VALIDATION"],
    ["UnsupportedFeatureException", "", "VALIDATION"],
    ["ClientException", "The maximum number of tasks in PROVISIONING state was reached: limit", "QUOTA"],
    ["ClientException", "ECS was unable to assume the role 'arn:aws:iam::1:role/x'", "AUTH"],
    ["ClientException", "Container.image should not be null", "VALIDATION"],
    ["SomethingNew", "", "UNKNOWN"],
  ])("%s (%s) is %s", (name, message, code) => {
    expect(refusal("running the task", thrown(name, message), []).code).toBe(code);
  });

  it("hides values of the job's that ECS repeats, and does not carry them along", () => {
    const error = refusal("it", thrown("ClientException", "Invalid value canary-1234 in container"), ["canary-1234"]);
    expect(error.message).not.toContain("canary-1234");
    expect(error.cause).toBeUndefined();
  });

  it("is told from one whose outcome nobody knows", () => {
    const lost = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    const cases = [
      lost,
      Object.assign(new Error(""), { name: "TimeoutError", $metadata: {} }),
      thrown("ServerException", "", 500),
      thrown("ThrottlingException"),
      thrown("ClientException"),
    ];
    expect(cases.map(isUncertain)).toEqual([true, true, true, false, false]);
    expect(cases.map(isThrottled)).toEqual([false, false, false, true, false]);
  });

  it("may be for want of a definition", () => {
    expect(lacksDefinition(thrown("ClientException", "TaskDefinition is inactive"))).toBe(true);
    expect(lacksDefinition(thrown("ClientException", "TaskDefinition not found."))).toBe(true);
    expect(lacksDefinition(thrown("ClientException", "Unable to describe task definition."))).toBe(true);
    expect(lacksDefinition(thrown("ClientException", "Too many tasks"))).toBe(false);
    expect(lacksDefinition(thrown("ServerException", "TaskDefinition not found", 500))).toBe(false);
  });
});

// The examples of https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html, with our group.
describe("an event", () => {
  const HOME = "home_01J0000000000000000000000A";
  const OWN = { homeId: HOME, clusterArn: "arn:aws:ecs:us-west-2:111122223333:cluster/FargateCluster" };
  const ARN = "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad";
  const JOB = "job_01J0000000000000000000000B";
  const event = (detail: object = {}) => ({
    version: "0",
    id: "3317b2af-7005-947d-b652-f55e762e571a",
    "detail-type": "ECS Task State Change",
    source: "aws.ecs",
    account: "111122223333",
    time: "2026-01-23T17:57:58Z",
    region: "us-west-2",
    resources: [ARN],
    detail: {
      attachments: [
        { id: "1789bcae", type: "eni", status: "ATTACHED", details: [{ name: "subnetId", value: "subnet-1" }] },
      ],
      attributes: [{ name: "ecs.cpu-architecture", value: "x86_64" }],
      availabilityZone: "us-west-2c",
      clusterArn: OWN.clusterArn,
      connectivity: "CONNECTED",
      containers: [
        {
          containerArn: "arn:aws:ecs:us-west-2:111122223333:container/x",
          lastStatus: "RUNNING",
          name: "job",
          cpu: "0",
        },
      ],
      cpu: "256",
      createdAt: "2026-01-23T17:57:34.402Z",
      desiredStatus: "RUNNING",
      enableExecuteCommand: false,
      group: `longshore:${HOME}:${JOB}:3`,
      lastStatus: "RUNNING",
      launchType: "FARGATE",
      overrides: { containerOverrides: [{ name: "job" }] },
      platformVersion: "1.4.0",
      startedAt: STARTED,
      startedBy: "longshore-000000000b-x-a3",
      taskArn: ARN,
      updatedAt: "2026-01-23T17:57:58.103Z",
      version: 4,
      ...detail,
    },
  });
  const stopped = (detail: object, container: object = {}) =>
    event({
      lastStatus: "STOPPED",
      desiredStatus: "STOPPED",
      executionStoppedAt: ENDED,
      stoppedAt: ENDED,
      version: 7,
      containers: [{ name: "job", lastStatus: "STOPPED", ...container }],
      ...detail,
    });

  it("of a running task is news of its attempt", () => {
    expect(newsOf(event(), OWN)).toEqual({
      externalRef: ARN,
      externalName: "longshore-000000000b-x-a3",
      jobId: JOB,
      attempt: 3,
      status: { ...UNKNOWN_STATUS, phase: "running", startedAt: STARTED },
    });
  });

  it.each([
    ["an end", { stopCode: "EssentialContainerExited", stoppedReason: REASON }, { exitCode: 0 }, null],
    [
      "an end that ran out of memory",
      { stopCode: "EssentialContainerExited", stoppedReason: REASON },
      { exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" },
      "OOM",
    ],
    [
      "a spot interruption",
      { stopCode: "SpotInterruption", stoppedReason: "Your Spot Task was interrupted." },
      { exitCode: 143 },
      "RUNTIME_UNAVAILABLE",
    ],
    [
      "a pull that failed",
      {
        stopCode: "TaskFailedToStart",
        stoppedReason:
          "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/none:1: not found",
        startedAt: undefined,
      },
      {},
      "NOT_FOUND",
    ],
    [
      "no capacity",
      {
        stopCode: "TaskFailedToStart",
        stoppedReason:
          "Capacity is unavailable at this time. Please try again later or in a different availability zone.",
        startedAt: undefined,
      },
      {},
      "RUNTIME_UNAVAILABLE",
    ],
  ])("tells of %s", (...[, detail, container, category]) => {
    const news = newsOf(stopped(detail, container), OWN);
    expect(news?.status.phase).toBe("exited");
    expect(news?.status.failure?.category ?? null).toBe(category);
  });

  it("of an interruption that has only been announced is of a task that runs", () => {
    const announced = {
      desiredStatus: "STOPPED",
      stopCode: "SpotInterruption",
      stoppedReason: "Your Spot Task was interrupted.",
    };
    expect(newsOf(event(announced), OWN)?.status).toMatchObject({ phase: "running", failure: null });
  });

  it.each([
    ["another home's task", event({ group: `longshore:home_2:${JOB}:3` })],
    ["another cluster's task", event({ clusterArn: `${OWN.clusterArn}2` })],
    ["a service's task", event({ group: "service:web" })],
    ["a task without a group", event({ group: undefined })],
    ["another kind of event", { ...event(), "detail-type": "ECS Container Instance State Change" }],
    ["somebody else's event", { ...event(), source: "longshore" }],
    ["a task of what is no job", event({ group: `longshore:${HOME}:job_1:3` })],
    ["a task without a state", event({ lastStatus: undefined })],
    ["no event", null],
    ["garbage", "ECS Task State Change"],
    ["an empty event", {}],
  ])("says nothing when it is %s", (_, other) => expect(newsOf(other, OWN)).toBeNull());
});

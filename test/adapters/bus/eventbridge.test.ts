import { randomUUID } from "node:crypto";
import {
  CreateEventBusCommand,
  EventBridgeClient,
  type PutEventsCommandInput,
  PutRuleCommand,
  PutTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createEventbridgeBus } from "../../../adapters/bus/eventbridge/index.ts";
import { callsOf, outgoing } from "../../../adapters/bus/eventbridge/spec.ts";
import type { BusEntry } from "../../../engine/ports/bus.ts";
import { busContract, entry } from "../../contracts/bus.ts";
import { labSettings } from "../../lab/aws.ts";
import { FAULTS, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";

const quiet = () => ({ debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() });

describeWith("aws", "eventbridge bus on moto", () => {
  let events: EventBridgeClient;
  let queues: SQSClient;
  beforeAll(async () => {
    const settings = await labSettings("aws");
    events = new EventBridgeClient({ ...clientDefaults("eventbridge"), ...settings });
    queues = new SQSClient(settings);
  });
  afterAll(() => {
    events.destroy();
    queues.destroy();
  });

  const makeBus = async (): Promise<string> => {
    const Name = `longshore-${randomUUID()}`;
    await events.send(new CreateEventBusCommand({ Name }));
    return Name;
  };

  /** All that has come to a queue; the contract's entries have their id in their data. */
  const drain = async (QueueUrl: string, handler: (one: BusEntry) => Promise<void>): Promise<void> => {
    for (;;) {
      const { Messages = [] } = await queues.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
      if (Messages.length === 0) return;
      for (const { Body = "" } of Messages) {
        const { source, detail, "detail-type": detailType } = JSON.parse(Body);
        await handler({ id: `${detail.data.jobId}#${detail.data.seq}`, source, detailType, detail });
      }
      const Entries = Messages.map(({ ReceiptHandle }, n) => ({ Id: `${n}`, ReceiptHandle }));
      await queues.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  };

  busContract("eventbridge", async () => {
    const name = await makeBus();
    const consumers: (() => Promise<void>)[] = [];
    return {
      bus: createEventbridgeBus({ bus: name, logger: quiet(), client: events }),
      async subscribe(handler) {
        const rule = `rule-${randomUUID()}`;
        const { QueueUrl = "" } = await queues.send(new CreateQueueCommand({ QueueName: rule }));
        const Arn = `arn:aws:sqs:us-east-1:123456789012:${rule}`;
        const EventPattern = JSON.stringify({ source: ["longshore"] });
        await events.send(new PutRuleCommand({ Name: rule, EventBusName: name, EventPattern }));
        await events.send(new PutTargetsCommand({ Rule: rule, EventBusName: name, Targets: [{ Id: "1", Arn }] }));
        consumers.push(() => drain(QueueUrl, handler));
      },
      async settled() {
        for (const consume of consumers) await consume();
      },
      end: async () => undefined,
    };
  });

  it.each(FAULTS)("publishes all though a call fails: %s", async (fault) => {
    const bus = createEventbridgeBus({ bus: await makeBus(), logger: quiet(), client: events });
    const faults = injectFaults(events);
    faults.strike({ fault, nth: 2 });
    const entries = Array.from({ length: 25 }, (_, n) => entry("job_a", n));
    expect(await bus.publish(entries)).toEqual({ failed: [] });
    expect(faults.calls()).toHaveLength(4);
    faults.remove();
  });

  it("tells what it could not publish as failed, and sends nothing more of those jobs", async () => {
    const bus = createEventbridgeBus({ bus: await makeBus(), logger: quiet(), client: events });
    const faults = injectFaults(events);
    // The second call, with all its tries.
    faults.strike({ fault: "throttled", nth: 2, times: 3 });
    const entries = Array.from({ length: 30 }, (_, n) => entry(n < 20 ? "job_a" : n < 25 ? "job_b" : "job_a", n));
    const { failed } = await bus.publish(entries);
    expect(failed).toEqual([
      ...Array.from({ length: 10 }, (_, n) => `job_a#${n + 10}`),
      ...[25, 26, 27, 28, 29].map((n) => `job_a#${n}`),
    ]);
    expect(faults.calls()).toHaveLength(5);
    faults.remove();
  });
});

/** A client that answers as told; EventBridge itself refuses single entries only when it fails inside. */
function answering(answer: (input: PutEventsCommandInput) => unknown) {
  const send = vi.fn(async (command: { input: PutEventsCommandInput }) => answer(command.input));
  return { client: { send } as unknown as EventBridgeClient, send };
}

describe("the eventbridge bus", () => {
  const taken = ({ Entries = [] }: PutEventsCommandInput, refused: (id: string) => boolean) => ({
    Entries: Entries.map(({ Detail = "" }) => {
      const { jobId, seq } = JSON.parse(Detail).data;
      return refused(`${jobId}#${seq}`) ? { ErrorCode: "InternalFailure" } : { EventId: "e" };
    }),
  });

  it("fails what stands behind a refused entry of the same job, in the same call and in later ones, and no other job", async () => {
    const { client, send } = answering((input) => taken(input, (id) => id === "a#2"));
    const logger = quiet();
    const entries = [
      ...[1, 2, 3].flatMap((seq) => [entry("a", seq), entry("b", seq)]),
      ...[4, 5, 6, 7, 8].flatMap((seq) => [entry("a", seq), entry("b", seq)]),
    ];
    const { failed } = await createEventbridgeBus({ bus: "x", logger, client }).publish(entries);
    expect(failed).toEqual([2, 3, 4, 5, 6, 7, 8].map((seq) => `a#${seq}`));
    expect(send.mock.calls.map(([{ input }]) => input.Entries?.length)).toEqual([10, 3]);
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith({ entry: "a#2", code: "InternalFailure" }, expect.any(String));
  });

  it("throws when it is EventBridge's own refusal that no repetition mends", async () => {
    const { client } = answering(() => {
      throw Object.assign(new Error("no"), { name: "AccessDeniedException", $metadata: { httpStatusCode: 400 } });
    });
    const bus = createEventbridgeBus({ bus: "x", logger: quiet(), client });
    await expect(bus.publish([entry("a", 1)])).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("takes an answer without entries for a refusal", async () => {
    const { client } = answering(() => ({}));
    const bus = createEventbridgeBus({ bus: "x", logger: quiet(), client });
    expect(await bus.publish([entry("a", 1), entry("b", 1)])).toEqual({ failed: ["a#1", "b#1"] });
  });

  it("makes calls of at most 10 entries and 256 KiB, in order", () => {
    const sized = (id: string, bytes: number) => ({ id, bytes, request: {} });
    const KIB = 1024;
    const ids = (calls: { id: string }[][]) => calls.map((call) => call.map(({ id }) => id).join(""));
    expect(ids(callsOf([..."abcdefghijkl"].map((id) => sized(id, 1))))).toEqual(["abcdefghij", "kl"]);
    expect(
      ids(callsOf([sized("a", 200 * KIB), sized("b", 56 * KIB), sized("c", 1), sized("d", 256 * KIB), sized("e", 1)])),
    ).toEqual(["ab", "c", "d", "e"]);
    expect(callsOf([])).toEqual([]);
  });

  it("cuts an entry that is too large down to its short members, and names the others", () => {
    const large = entry("job_a", 1);
    large.detail = {
      id: "job_a#1",
      data: { jobId: "job_a", seq: 1, message: "x".repeat(300_000), labels: { a: "b" } },
    };
    const { request, bytes } = outgoing(large, "x");
    expect(JSON.parse(request.Detail ?? "")).toEqual({
      id: "job_a#1",
      data: { jobId: "job_a", seq: 1, labels: { a: "b" }, omitted: ["message"] },
    });
    expect(bytes).toBeLessThan(1_000);
    expect(large.detail.data).toHaveProperty("message");
  });

  it("refuses an entry that is too large even so, without a word of what it holds", () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, "hunter2".repeat(100)]));
    for (const detail of [{ data: many }, { text: "hunter2".repeat(100_000) }]) {
      const refused = expect.objectContaining({
        code: "PAYLOAD_TOO_LARGE",
        message: expect.not.stringContaining("hunter2"),
      });
      expect(() => outgoing({ ...entry("job_a", 1), detail }, "x")).toThrow(refused);
    }
  });
});

import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import type { LongshoreError } from "../../../engine/errors.ts";
import type { Bus } from "../../../engine/ports/bus.ts";
import type { Logger } from "../../../engine/ports/logger.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsError } from "../../aws/errors.ts";
import { callsOf, jobOf, type Outgoing, outgoing } from "./spec.ts";

export interface EventbridgeBusOptions {
  /** The bus's name or ARN. */
  bus: string;
  logger: Logger;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: EventBridgeClient;
}

/** The ids of a call's entries that were not taken, with why. */
type Refused = Map<string, string>;

/**
 * The bus on EventBridge: calls of at most 10 entries and 256 KiB, one after the other. What follows an entry that was
 * not taken is not published before it: of its job nothing more is sent, and all of it is told as failed. (Beyond that
 * EventBridge promises no order to its consumers: the number inside an event tells it.)
 * @throws (from `publish`) LongshoreError INTERNAL when EventBridge refuses the caller, for then publishing again does not
 * help, and PAYLOAD_TOO_LARGE for an entry that cannot even be cut down to what EventBridge takes.
 */
export function createEventbridgeBus(options: EventbridgeBusOptions): Bus {
  const { bus, logger } = options;
  const client = options.client ?? new EventBridgeClient(clientDefaults("eventbridge"));

  const send = async (call: Outgoing[]): Promise<Refused> => {
    try {
      const { Entries = [] } = await client.send(new PutEventsCommand({ Entries: call.map(({ request }) => request) }));
      // The answer has the order of the call. An entry without an event id was not taken.
      const refused = call.flatMap(({ id }, at) =>
        Entries[at]?.EventId === undefined ? [[id, Entries[at]?.ErrorCode ?? "unknown"] as const] : [],
      );
      return new Map(refused);
    } catch (thrown) {
      const error: LongshoreError = awsError("publishing events", thrown);
      if (error.code !== "UNAVAILABLE") throw error;
      return new Map(call.map(({ id }) => [id, error.providerCode ?? "unknown"]));
    }
  };

  return {
    async publish(entries) {
      const all = entries.map((entry) => outgoing(entry, bus));
      const stopped = new Set<string>();
      const failed = new Set<string>();
      for (const call of callsOf(all)) {
        const toSend = call.filter(({ id }) => !stopped.has(jobOf(id)));
        const refused: Refused = toSend.length === 0 ? new Map() : await send(toSend);
        for (const [id, code] of refused) {
          stopped.add(jobOf(id));
          logger.warn({ entry: id, code }, "the bus did not take an event; it will be published again");
        }
        const behind = new Set<string>();
        for (const { id } of call) {
          // In the same call what stands before a refused entry was taken for good.
          if (refused.has(id)) behind.add(jobOf(id));
          if (behind.has(jobOf(id)) || !toSend.some((sent) => sent.id === id)) failed.add(id);
        }
      }
      return { failed: entries.map(({ id }) => id).filter((id) => failed.has(id)) };
    },
  };
}

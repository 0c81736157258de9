import { randomUUID } from "node:crypto";
import { DynamoDBClient, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createDynamodbTable } from "../../../adapters/table/dynamodb/index.ts";
import type { Change, Table } from "../../../engine/ports/table.ts";
import { labSettings } from "../../lab/aws.ts";
import { type AwsFaults, FAULTS, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";
import { makeTable } from "./dynamodb/make-table.ts";

const key = { pk: "a", sk: "b" };
const COMMIT = "TransactWriteItemsCommand";

describeWith("dynamodb", "dynamodb under faults", () => {
  let client: DynamoDBClient;
  let faults: AwsFaults;
  let table: Table;
  beforeEach(async () => {
    client = new DynamoDBClient({ ...clientDefaults("dynamodb"), ...(await labSettings("dynamodb")) });
    table = createDynamodbTable({ table: await makeTable(client, `longshore-${randomUUID()}`), client });
    faults = injectFaults(client);
  });
  afterEach(async () => {
    await table.close();
    client.destroy();
  });

  const create: Change = { kind: "put", item: { ...key, n: 1 }, guard: { exists: false } };
  const count: Change = { kind: "patch", key, add: { n: 1 } };

  it.each(FAULTS)("commits once, and tells no conflict, when a call fails: %s", async (fault) => {
    faults.strike({ fault, command: COMMIT });
    await table.commit([create]);
    expect(faults.calls().map((call) => call.fault)).toEqual([fault, null]);
    faults.strike({ fault, command: COMMIT });
    await table.commit([count, { kind: "put", item: { pk: "a", sk: "c" }, guard: { exists: false } }]);
    expect((await table.get(key))?.n).toBe(2);
  });

  it.each(["after", "slow"] as const)("counts once when the answers of three tries are lost: %s", async (fault) => {
    faults.strike({ fault, command: COMMIT, times: 3 });
    await table.commit([count]);
    expect((await table.get(key))?.n).toBe(1);
  });

  it.each(FAULTS)("is unavailable, with the provider's code, when every try fails: %s", async (fault) => {
    faults.strike({ fault, times: 100 });
    const code = { before: "ECONNRESET", after: "ECONNRESET", slow: "TimeoutError" } as Record<string, string>;
    const providerCode = code[fault] ?? (fault === "error" ? "InternalServerError" : "ThrottlingException");
    const uses = [table.commit([create]), table.get(key), table.query({ pk: "a" })];
    for (const use of await Promise.allSettled(uses)) {
      expect(use).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE", providerCode } });
    }
  });

  it.each(FAULTS)("reads though a call fails: %s", async (fault) => {
    await table.commit([create]);
    faults.strike({ fault });
    expect((await table.get(key))?.n).toBe(1);
    faults.strike({ fault });
    expect((await table.query({ pk: "a" })).items).toHaveLength(1);
  });

  it.each(FAULTS)("tells a conflict with the current items though reading them fails once: %s", async (fault) => {
    await table.commit([create]);
    faults.strike({ fault, command: "BatchGetItemCommand" });
    const conflict = table.commit([{ kind: "put", item: { pk: "a", sk: "c" } }, create]);
    await expect(conflict).rejects.toMatchObject({ name: "ConflictError", failed: [1], items: [undefined, { n: 1 }] });
  });

  it("reads nothing after a conflict of which DynamoDB sent all items", async () => {
    await table.commit([create]);
    faults.strike({ fault: "error", nth: 100 });
    await expect(table.commit([create])).rejects.toMatchObject({ items: [{ n: 1 }] });
    expect(faults.calls()).toHaveLength(1);
  });

  it("is not told of what DynamoDB refuses in its words, which may quote values", async () => {
    await table.commit([{ kind: "put", item: { ...key, n: "hunter2" } }]);
    const refused = await table.commit([count]).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: "INTERNAL", message: expect.not.stringContaining("hunter2") });
  });

  it("commits a hundred changes to a hundred partitions in one call", async () => {
    faults.strike({ fault: "error", nth: 100 });
    await table.commit(Array.from({ length: 100 }, (_, n) => ({ kind: "put", item: { pk: `p${n}`, sk: "x" } })));
    expect(faults.calls().map(({ command }) => command)).toEqual([COMMIT]);
  });
});

describe("dynamodb commits that meet others", () => {
  const cancelled = (...codes: string[]) =>
    new TransactionCanceledException({
      message: "cancelled",
      $metadata: { httpStatusCode: 400 },
      CancellationReasons: codes.map((Code) => ({ Code, Item: { pk: { S: "secret" }, sk: { S: "x" } } })),
    });
  /** DynamoDB Local has no throttling, and its conflicts cannot be timed: a client that answers as told. */
  const make = (answers: unknown[]) => {
    const waits: number[] = [];
    const tokens: unknown[] = [];
    const send = vi.fn(async (command: { input: { ClientRequestToken?: string } }) => {
      tokens.push(command.input.ClientRequestToken);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) throw answer;
      return answer;
    });
    const table = createDynamodbTable({
      table: "t",
      client: { send } as unknown as DynamoDBClient,
      wait: async (milliseconds) => void waits.push(milliseconds),
      random: () => 0.5,
    });
    return { table, waits, tokens, send };
  };
  const change: Change = { kind: "put", item: key };

  it.each(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])(
    "are tried again after a growing pause, under the same token: %s",
    async (code) => {
      const { table, waits, tokens } = make([cancelled(code), cancelled("None", code), cancelled(code), {}]);
      await table.commit([change]);
      expect(waits).toEqual([10, 20, 40]);
      expect(new Set(tokens).size).toBe(1);
      await table.commit([change]);
      expect(new Set(tokens).size).toBe(2);
    },
  );

  it("wait for the try before them, whose answer was lost", async () => {
    const { table, tokens } = make([
      Object.assign(new Error("x"), { name: "TransactionInProgressException", $metadata: { httpStatusCode: 400 } }),
      {},
    ]);
    await table.commit([change]);
    expect(tokens).toHaveLength(2);
  });

  it("give up after five seconds of pauses, and hold no items in what they throw", async () => {
    const { table, waits } = make([cancelled("TransactionConflict")]);
    const error = await table.commit([change]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "UNAVAILABLE", providerCode: "TransactionConflict" });
    expect((error as Error).cause).toBe(undefined);
    const waited = waits.reduce((sum, one) => sum + one, 0);
    expect(waited).toBeGreaterThanOrEqual(5_000);
    expect(waited).toBeLessThan(5_500);
    expect(Math.max(...waits)).toBe(250);
  });

  it("do not try what can never work", async () => {
    const { table, send } = make([cancelled("None", "ValidationError")]);
    await expect(table.commit([change])).rejects.toMatchObject({ code: "INTERNAL", providerCode: "ValidationError" });
    expect(send).toHaveBeenCalledTimes(1);
  });

  it("read again what DynamoDB left unread of the current items", async () => {
    const stored = (sk: string) => ({ pk: { S: "a" }, sk: { S: sk } });
    const { table, waits } = make([
      cancelled("ConditionalCheckFailed", "None", "None"),
      { Responses: { t: [stored("2")] }, UnprocessedKeys: { t: { Keys: [stored("3")] } } },
      { Responses: { t: [stored("3")] } },
    ]);
    const changes = ["1", "2", "3"].map((sk): Change => ({ kind: "put", item: { pk: "a", sk } }));
    await expect(table.commit(changes)).rejects.toMatchObject({
      failed: [0],
      items: [{ pk: "secret" }, { sk: "2" }, { sk: "3" }],
    });
    expect(waits).toEqual([10]);
  });

  it("are unavailable when the current items stay unread", async () => {
    const { table, send } = make([
      cancelled("ConditionalCheckFailed", "None"),
      { UnprocessedKeys: { t: { Keys: [{ pk: { S: "a" }, sk: { S: "2" } }] } } },
    ]);
    const changes = ["1", "2"].map((sk): Change => ({ kind: "put", item: { pk: "a", sk } }));
    await expect(table.commit(changes)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(send.mock.calls.length).toBeLessThan(50);
  });

  it("with checks that always hold tell the positions of the changes, not of the transaction's parts", async () => {
    const { table } = make([cancelled("ConditionalCheckFailed"), { Responses: {} }]);
    const changes: Change[] = [
      { kind: "check", key: { pk: "c", sk: "c" }, guard: {} },
      { ...change, guard: { exists: false } },
    ];
    await expect(table.commit(changes)).rejects.toMatchObject({ failed: [1], items: [undefined, { pk: "secret" }] });
  });
});

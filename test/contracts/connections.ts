import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Connections } from "../../engine/ports/connections.ts";

export interface ConnectionsUnderTest {
  connections: Connections;
  /** Opens a connection; gives its id and what has arrived on it. */
  open(): Promise<{ id: string; texts(): string[]; leave(): void; isEnded(): boolean }>;
  /** The tasks that were handed over. */
  tasks(): object[];
  end(): Promise<void>;
}

/** What every driver of connections must do. */
export function connectionsContract(name: string, make: () => Promise<ConnectionsUnderTest>): void {
  describe(`connections contract: ${name}`, () => {
    let under: ConnectionsUnderTest;
    beforeEach(async () => {
      under = await make();
    });
    afterEach(async () => {
      await under.end();
    });

    it("delivers texts as they are, in order, to the one that they are for", async () => {
      const [one, other] = [await under.open(), await under.open()];
      const texts = ['{"a":1}', "ü \u{1F600} \u0000", "x".repeat(32 * 1024), ""];
      for (const text of texts) expect(await under.connections.post(one.id, text)).toBe(true);
      expect(await under.connections.post(other.id, "other")).toBe(true);
      expect([one.texts(), other.texts()]).toEqual([texts, ["other"]]);
    });

    it("tells that a reader has gone, or was never there", async () => {
      const { id, leave, texts } = await under.open();
      leave();
      expect(await under.connections.post(id, "late")).toBe(false);
      expect(await under.connections.post("nobody/at=all", "x")).toBe(false);
      expect(texts()).toEqual([]);
    });

    it("ends a connection, twice if need be, and one that has gone", async () => {
      const { id, isEnded } = await under.open();
      await under.connections.close(id);
      await under.connections.close(id);
      expect(isEnded()).toBe(true);
      expect(await under.connections.post(id, "late")).toBe(false);
      const gone = await under.open();
      gone.leave();
      await under.connections.close(gone.id);
      expect(gone.isEnded()).toBe(false);
    });

    it("hands a task over as it is", async () => {
      const task = { follow: { connectionId: "c=", query: { a: ["1", "2"] }, text: "ü" } };
      await under.connections.handOver(task);
      expect(under.tasks()).toEqual([task]);
    });
  });
}

import type { BusEntry } from "../../engine/ports/bus.ts";

/** The bus as its consumers see it: at least once, and in order per job. */
export interface ModelBus {
  /** Takes entries up to the first that it refuses; gives back the ids of the others. */
  take(entries: BusEntry[], refuses: () => boolean): string[];
  /** How many events of a job have come, in order. */
  count(jobId: string): number;
  /** Records of the feed were lost: from now on an order has gaps that nobody is to blame for. */
  forgive(): void;
}

/** @param fail is told of an event that came before one with a smaller number. */
export function createModelBus(fail: (text: string) => void): ModelBus {
  const counts = new Map<string, number>();
  let forgiving = false;

  function note(id: string): void {
    const [jobId = "", seq] = id.split("#");
    const count = counts.get(jobId) ?? 0;
    if (Number(seq) === count + 1) counts.set(jobId, count + 1);
    else if (Number(seq) > count + 1 && !forgiving) fail(`the bus got ${id} before number ${count + 1}`);
  }

  return {
    take(entries, refuses) {
      const failed: string[] = [];
      for (const { id } of entries) {
        if (failed.length > 0 || refuses()) failed.push(id);
        else note(id);
      }
      return failed;
    },
    count: (jobId) => counts.get(jobId) ?? 0,
    forgive() {
      forgiving = true;
    },
  };
}

/** One message on the bus. `id` is stable, so a consumer can drop what it has seen. */
export interface BusEntry {
  id: string;
  source: string;
  detailType: string;
  detail: Record<string, unknown>;
}

/** Where events leave: at least once, in order per job. */
export interface Bus {
  /** Hands the entries over; resolves with the ids of those that were not taken and must be published again. */
  publish(entries: BusEntry[]): Promise<{ failed: string[] }>;
}

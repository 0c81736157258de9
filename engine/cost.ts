/** What an attempt or a job cost, US dollars; null where nobody can tell yet. */
export interface Cost {
  amountUsd: number | null;
  basis: "local" | "unknown";
}

const LOCAL_KINDS: ReadonlySet<string> = new Set(["docker", "podman", "nerdctl", "process", "stub"]);

/** The price of running for `durationMs` on a kind of runtime: nothing on one's own machine, unknown elsewhere. */
export function priceOf(runtimeKind: string, _durationMs: number): Cost {
  return LOCAL_KINDS.has(runtimeKind) ? { amountUsd: 0, basis: "local" } : { amountUsd: null, basis: "unknown" };
}

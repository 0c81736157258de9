import { vi } from "vitest";

/** Longer than anything takes on a machine that is busy with other things. */
const PATIENCE_MS = 25_000;

/** Waits until a check passes; a lost wake-up would take for ever, a busy machine does not fail it. */
export async function waitUntil<T>(check: () => T): Promise<T> {
  return await vi.waitFor(check, { timeout: PATIENCE_MS, interval: 10 });
}

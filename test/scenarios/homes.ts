import { describe } from "vitest";
import type { Target } from "./client.ts";

/** Where Longshore runs: the two homes of the one suite. */
export type Home = "local" | "aws";

declare module "@vitest/runner" {
  interface TaskMeta {
    /** The one home that the suite's scenarios are for, and why: the reporter prints it. */
    onlyHome?: { home: Home; reason: string };
  }
}

/** What a suite of one home only tells of itself. */
export function oneHome(home: Home, reason: string): { onlyHome: { home: Home; reason: string } } {
  return { onlyHome: { home, reason } };
}

/** Registers scenarios that only one home can have. The run says which, and why; without this, both homes have them. */
export function onlyOn(home: Home, reason: string, fn: () => void): void {
  describe(`that only the ${home} home can have`, { meta: oneHome(home, reason) }, fn);
}

/** Registers what only one home can have where the target is that home; elsewhere there is nothing. */
export function onlyWhere(
  target: Pick<Target, "home">,
  home: Home,
  { reason, fn }: { reason: string; fn(): void },
): void {
  if ((target.home ?? "local") === home) onlyOn(home, reason, fn);
}

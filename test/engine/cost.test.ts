import { expect, test } from "vitest";
import { priceOf } from "../../engine/cost.ts";

test("one's own machine costs nothing, and nobody knows yet what another place does", () => {
  for (const kind of ["docker", "podman", "process", "stub"]) {
    expect(priceOf(kind, 3_600_000)).toEqual({ amountUsd: 0, basis: "local" });
  }
  for (const kind of ["ecs", "constructor", ""]) {
    expect(priceOf(kind, 3_600_000)).toEqual({ amountUsd: null, basis: "unknown" });
  }
});

import { it } from "vitest";

it("is left out in silence", { skip: true }, () => {
  throw new Error("never run");
});

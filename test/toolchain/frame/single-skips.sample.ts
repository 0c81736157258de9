import { it } from "vitest";

it("is left out in silence", { skip: true }, () => {
  throw new Error("never run");
});

it("is left out by its options", { skip: true, meta: { skipReason: "the moon is full" } }, () => {
  throw new Error("never run");
});

it("leaves itself out", ({ skip }) => {
  skip("the sun shines");
});

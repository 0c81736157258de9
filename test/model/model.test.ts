import { expect, test } from "vitest";
import { MUTANTS } from "./mutants/all.ts";
import { engineSources, mutated } from "./mutants/mutate.ts";
import { playAgain, playMutant } from "./mutants/run.ts";
import { search } from "./search.ts";

/** A few seconds' worth; `npm run model` plays as many as one likes. */
const LIVES = 300;
/** Every run of these tests plays the same lives, so that a failure is the fault of what was changed. */
const SEED = 20_260_304;

test("whatever is asked for and whatever goes wrong, all that must hold does", async () => {
  const { played, failure } = await search({ lives: LIVES, seed: SEED });
  expect(failure?.message).toBeUndefined();
  expect(played.lives).toBeGreaterThanOrEqual(LIVES);
}, 120_000);

test("the same seed plays the same lives", async () => {
  const once = await search({ lives: 20, seed: SEED });
  const again = await search({ lives: 20, seed: SEED });
  expect(again.played).toEqual(once.played);
}, 60_000);

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))("the mutant %s finds its text", (_, mutant) => {
  const { source } = mutated(engineSources(), mutant);
  expect(source.includes(mutant.replace)).toBe(true);
  expect([...engineSources().values()]).not.toContain(source);
});

test("a mutant whose text is not there, or there twice, is an error", () => {
  const mutant = { name: "m", breaks: "nothing", search: "a = 1", replace: "a = 2" };
  expect(() => mutated(new Map([["x.ts", "b = 1"]]), mutant)).toThrow("nowhere");
  expect(() => mutated(new Map([["x.ts", "a = 1; a = 1"]]), mutant)).toThrow("more than once");
  expect(() =>
    mutated(
      new Map([
        ["x.ts", "a = 1"],
        ["y.ts", "a = 1"],
      ]),
      mutant,
    ),
  ).toThrow("more than once");
  const { path, source } = mutated(
    new Map([
      ["x.ts", "b"],
      ["y.ts", "let a = 1;"],
    ]),
    mutant,
  );
  expect([path, source]).toEqual(["y.ts", "let a = 2;"]);
});

test.each(["slot-bound-off-by-one", "cancelled-before-stopped", "event-number-reused"])(
  "a broken engine (%s) is caught, and what is printed plays the same failure again",
  async (name) => {
    const mutant = MUTANTS.find((one) => one.name === name);
    if (mutant === undefined) return expect.fail(`there is no mutant ${name}`);
    const verdict = await playMutant(mutant, { seed: SEED, lives: 500 });
    expect([verdict.caught, verdict.how]).toEqual([true, expect.stringMatching(/./)]);
    const again = await playAgain(verdict);
    expect(again.exitCode).toBe(1);
    // Ids begin with the time at which a run's world began, which depends on the runs before it: the place is the same.
    expect(withoutIds(again.how)).toBe(withoutIds(verdict.how));
  },
  120_000,
);

function withoutIds(text: string): string {
  return text.replaceAll(/job_[0-9A-Z]{26}/g, "job").replaceAll(/longshore-[0-9a-z]{10}/g, "name");
}

import { describe, inject, it, type TaskMeta } from "vitest";

/** The real systems that some tests run against. */
export const COUNTERPARTS = ["docker", "registry", "disk", "dynamodb", "aws"] as const;
export type CounterpartName = (typeof COUNTERPARTS)[number];

/** Why a counterpart cannot be used here; null when it can. Found out once a run, by the global set-up. */
export type Counterparts = Record<CounterpartName, string | null>;

declare module "vitest" {
  interface ProvidedContext {
    counterparts: Counterparts;
    required: CounterpartName[];
  }
}

/** A suite's title, and what is to be told of it. */
export interface Titled {
  title: string;
  meta: TaskMeta;
}

declare module "@vitest/runner" {
  interface TaskMeta {
    /** Why the suite was left out: the reporter prints it with the number of its tests. */
    skipReason?: string;
  }
}

/**
 * Registers a suite that needs counterparts. Where one is missing, its tests are left out and listed with the reason
 * at the end of the run; where LONGSHORE_REQUIRE names the missing one, that is a failure. The body runs in either
 * case, to count its tests: it must touch the counterparts in hooks and tests only.
 */
export function describeWith(
  names: CounterpartName | readonly CounterpartName[],
  titled: string | Titled,
  fn: () => void,
): void {
  const { title, meta } = typeof titled === "string" ? { title: titled, meta: {} } : titled;
  const state = inject("counterparts");
  const missing = (typeof names === "string" ? [names] : names).filter((name) => state[name] !== null);
  if (missing.length === 0) {
    describe(title, { meta }, fn);
    return;
  }
  const skipReason = missing.map((name) => `${name}: ${state[name]}`).join("; ");
  describe(title, { skip: true, meta: { ...meta, skipReason } }, fn);
  const required = missing.filter((name) => inject("required").includes(name));
  if (required.length === 0) return;
  describe(title, () => {
    it.each(required)("has its required counterpart %s", (name) => {
      throw new Error(`LONGSHORE_REQUIRE names ${name}, but ${state[name]}`);
    });
  });
}

/**
 * Reads LONGSHORE_REQUIRE: names from COUNTERPARTS, separated by commas; empty by default.
 * @throws Error for a name that is no counterpart: a slip of the pen must not pass for a requirement that is met.
 */
export function parseRequired(text: string | undefined): CounterpartName[] {
  const names = (text ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").map(counterpartNamed);
}

function counterpartNamed(text: string): CounterpartName {
  const name = COUNTERPARTS.find((known) => known === text);
  if (!name) throw new Error(`LONGSHORE_REQUIRE: ${text} is none of ${COUNTERPARTS.join(", ")}`);
  return name;
}

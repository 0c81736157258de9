import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";

/** A source that holds secrets, and names to ask it for. */
export interface SecretsHarness {
  source: SecretSource;
  /** Names that it gives, with their values. */
  known: Record<string, string>;
  /** Well-formed names behind which there is nothing. */
  missing: readonly string[];
  /** Names of what is there, or may be, and that the operator does not allow. */
  forbidden: readonly string[];
  /** What no error may quote. */
  hidden: readonly string[];
  dispose?(): Promise<void>;
}

/** What every source of secrets keeps to. */
export function secretsContract(name: string, setup: () => Promise<SecretsHarness>): void {
  describe(`secrets contract: ${name}`, () => {
    let harness: SecretsHarness;
    beforeAll(async () => {
      harness = await setup();
    });
    afterAll(async () => await harness.dispose?.());

    const failureOf = async (secret: string): Promise<LongshoreError> => {
      const error = await harness.source.resolve(secret).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error, secret).toBeInstanceOf(LongshoreError);
      return error as LongshoreError;
    };

    test("is named by a scheme of lower-case letters", () => {
      expect(harness.source.scheme).toMatch(/^[a-z][a-z-]*$/);
    });

    test("gives each value exactly, every time", async () => {
      expect(Object.keys(harness.known).length).toBeGreaterThan(0);
      for (const [secret, value] of Object.entries(harness.known)) {
        expect(await harness.source.resolve(secret)).toBe(value);
        expect(await harness.source.resolve(secret)).toBe(value);
      }
    });

    test("says NOT_FOUND when there is none", async () => {
      expect(harness.missing.length).toBeGreaterThan(0);
      for (const secret of harness.missing) expect((await failureOf(secret)).code, secret).toBe("NOT_FOUND");
    });

    test("says AUTH for what the operator does not allow", async () => {
      expect(harness.forbidden.length).toBeGreaterThan(0);
      for (const secret of harness.forbidden) expect((await failureOf(secret)).code, secret).toBe("AUTH");
    });

    test("is not led astray by a name that is none", async () => {
      for (const secret of ["", "..", "../..", "a\0b", "__proto__", "constructor", "x".repeat(100_000)]) {
        expect(["AUTH", "NOT_FOUND"]).toContain((await failureOf(secret)).code);
      }
    });

    test("quotes no value in an error", async () => {
      for (const secret of [...harness.missing, ...harness.forbidden]) {
        const error = await failureOf(secret);
        for (const value of harness.hidden) {
          expect(`${error.message}${error.stack}${JSON.stringify(error)}${String(error.cause)}`).not.toContain(value);
        }
      }
    });
  });
}

import { LongshoreError } from "../../engine/errors.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";

/** Longshore's own settings and credentials: a submitter must not read them through a job. */
const FORBIDDEN = /^(LONGSHORE|AWS)_/i;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/**
 * `env:NAME`: a variable of the environment that the entry point hands over. Never one of LONGSHORE_* or AWS_*.
 * @throws LongshoreError (from `resolve`) AUTH for a forbidden name, NOT_FOUND for one that is not set or malformed.
 */
export function createEnvSecrets(env: Readonly<Record<string, string | undefined>>): SecretSource {
  return {
    scheme: "env",
    async resolve(name) {
      // Answered before looking: not even whether it is set is said.
      if (FORBIDDEN.test(name)) throw new LongshoreError("AUTH", `the secret env:${name} is not for jobs`);
      if (!NAME.test(name)) throw new LongshoreError("NOT_FOUND", "the name after env: is no name of a variable");
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined) throw new LongshoreError("NOT_FOUND", `the secret env:${name} is not set`);
      return value;
    },
  };
}

import { createSecretsManagerSecrets } from "../../adapters/secrets/secrets-manager/index.ts";
import { createSsmSecrets } from "../../adapters/secrets/ssm/index.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";
import type { Base } from "./context.ts";

/** The sources of secrets that the operator allows: those of which there is a prefix. */
export function secretsOf({ settings }: Base): SecretSource[] {
  const { LONGSHORE_SSM_PREFIX: ssm, LONGSHORE_SECRETS_PREFIX: secrets } = settings;
  return [
    ...(ssm === undefined ? [] : [createSsmSecrets({ prefix: ssm })]),
    ...(secrets === undefined ? [] : [createSecretsManagerSecrets({ prefix: secrets })]),
  ];
}

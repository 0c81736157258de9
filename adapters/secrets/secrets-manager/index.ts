import type { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { LongshoreError } from "../../../engine/errors.ts";
import type { SecretSource } from "../../../engine/ports/secrets.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError } from "../../aws/errors.ts";
import { isUnder, parseReference, refusalOf, secretText } from "./spec.ts";

export interface SecretsManagerOptions {
  /** Only secrets whose name begins with it are given, such as `longshore/jobs/`; it ends with a slash. */
  prefix: string;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: SecretsManagerClient;
}

/**
 * `secretsmanager:NAME[:JSON_KEY[:STAGE[:VERSION_ID]]]`, as ECS writes it behind a secret's ARN: a secret's text, or one
 * text, number or truth value of the JSON object in it; in its current or the named version. The SDK is loaded with the
 * first one.
 * @throws Error for a prefix without its slash. LongshoreError (from `resolve`) AUTH outside of the prefix or where IAM
 * refuses, NOT_FOUND for what is not there or no text, UNAVAILABLE when the service cannot be asked.
 */
export function createSecretsManagerSecrets(options: SecretsManagerOptions): SecretSource {
  const { prefix } = options;
  if (!/^[^/].*\/$/.test(prefix)) throw new Error("the prefix of secretsmanager: secrets must end with a slash");
  let client: Promise<SecretsManagerClient> | undefined;
  const load = async (): Promise<SecretsManagerClient> => {
    const { SecretsManagerClient } = await import("@aws-sdk/client-secrets-manager");
    return options.client ?? new SecretsManagerClient(clientDefaults("secretsManager"));
  };

  return {
    scheme: "secretsmanager",
    async resolve(name) {
      const reference = parseReference(name);
      // By its name first: outside of the prefix nothing is asked for, so nothing is learnt of what is there.
      if (reference === null || !isUnder(reference.id, prefix)) {
        throw new LongshoreError("AUTH", "the operator does not allow this name after secretsmanager:");
      }
      const { GetSecretValueCommand } = await import("@aws-sdk/client-secrets-manager");
      client ??= load();
      const command = new GetSecretValueCommand({
        SecretId: reference.id,
        ...(reference.stage === undefined ? {} : { VersionStage: reference.stage }),
        ...(reference.versionId === undefined ? {} : { VersionId: reference.versionId }),
      });
      try {
        return secretText(await (await client).send(command), reference.jsonKey);
      } catch (thrown) {
        throw refusalOf(awsCode(thrown)) ?? awsError("reading a secret", thrown);
      }
    },
  };
}

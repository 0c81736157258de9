import type { SSMClient } from "@aws-sdk/client-ssm";
import { LongshoreError } from "../../../engine/errors.ts";
import type { SecretSource } from "../../../engine/ports/secrets.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError } from "../../aws/errors.ts";
import { isUnder, refusalOf } from "./spec.ts";

export interface SsmSecretsOptions {
  /** Only parameters below it are given, such as `/longshore/jobs/`; it begins and ends with a slash. */
  prefix: string;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: SSMClient;
}

/**
 * `ssm:/path/name`, `ssm:/path/name:3`, `ssm:/path/name:label`: a parameter of Systems Manager, decrypted, in its newest
 * or the named version. The SDK is loaded with the first one.
 * @throws Error for a prefix without its slashes. LongshoreError (from `resolve`) AUTH outside of the prefix or where IAM
 * refuses, NOT_FOUND for what is not there, UNAVAILABLE when the service cannot be asked.
 */
export function createSsmSecrets(options: SsmSecretsOptions): SecretSource {
  const { prefix } = options;
  if (!/^\/(.*\/)?$/.test(prefix)) throw new Error("the prefix of ssm: secrets must begin and end with a slash");
  let client: Promise<SSMClient> | undefined;
  const load = async (): Promise<SSMClient> => {
    const { SSMClient } = await import("@aws-sdk/client-ssm");
    return options.client ?? new SSMClient(clientDefaults("ssm"));
  };

  return {
    scheme: "ssm",
    async resolve(name) {
      // By its name first: outside of the prefix nothing is asked for, so nothing is learnt of what is there.
      if (!isUnder(name, prefix)) throw new LongshoreError("AUTH", "the operator does not allow this name after ssm:");
      const { GetParameterCommand } = await import("@aws-sdk/client-ssm");
      client ??= load();
      try {
        const answer = await (await client).send(new GetParameterCommand({ Name: name, WithDecryption: true }));
        const value = answer.Parameter?.Value;
        if (value === undefined) throw new LongshoreError("NOT_FOUND", "the parameter after ssm: has no value");
        return value;
      } catch (thrown) {
        throw refusalOf(awsCode(thrown)) ?? awsError("reading a parameter", thrown);
      }
    },
  };
}

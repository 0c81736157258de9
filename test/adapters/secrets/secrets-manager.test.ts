import {
  CreateSecretCommand,
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createSecretsManagerSecrets } from "../../../adapters/secrets/secrets-manager/index.ts";
import { parseReference, refusalOf, secretText } from "../../../adapters/secrets/secrets-manager/spec.ts";
import { secretsContract } from "../../contracts/secrets.ts";
import { labSettings } from "../../lab/aws.ts";
import { injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";

const PREFIX = "longshore/jobs/";

async function secretsManager(): Promise<SecretsManagerClient> {
  return new SecretsManagerClient({ ...clientDefaults("secretsManager"), ...(await labSettings("aws")) });
}

describeWith("aws", "secrets-manager secrets on moto", () => {
  secretsContract("secretsmanager", async () => {
    const client = await secretsManager();
    const create = async (Name: string, SecretString: string) =>
      await client.send(new CreateSecretCommand({ Name, SecretString }));
    const { VersionId: first = "" } = await create("longshore/jobs/rotated", "an older value");
    await client.send(new PutSecretValueCommand({ SecretId: "longshore/jobs/rotated", SecretString: "a newer value" }));
    await create("longshore/jobs/json", '{"user":"admin","port":5432,"tls":true,"deep":{"a":1},"none":null}');
    await create("longshore/own", "our own secret");
    await create("longshore/jobs/deleted", "a deleted secret");
    await client.send(new DeleteSecretCommand({ SecretId: "longshore/jobs/deleted", RecoveryWindowInDays: 7 }));
    await client.send(new CreateSecretCommand({ Name: "longshore/jobs/bytes", SecretBinary: Buffer.from("bytes ü") }));
    await client.send(
      new CreateSecretCommand({ Name: "longshore/jobs/binary", SecretBinary: Buffer.from([0x68, 0xff, 0xfe]) }),
    );
    return {
      source: createSecretsManagerSecrets({ prefix: PREFIX, client }),
      known: {
        "longshore/jobs/rotated": "a newer value",
        "longshore/jobs/rotated::AWSCURRENT": "a newer value",
        "longshore/jobs/rotated::AWSPREVIOUS": "an older value",
        [`longshore/jobs/rotated:::${first}`]: "an older value",
        "longshore/jobs/json": '{"user":"admin","port":5432,"tls":true,"deep":{"a":1},"none":null}',
        "longshore/jobs/json:user": "admin",
        "longshore/jobs/json:port": "5432",
        "longshore/jobs/json:tls:AWSCURRENT": "true",
        "longshore/jobs/bytes": "bytes ü",
      },
      missing: [
        "longshore/jobs/none",
        "longshore/jobs/deleted",
        "longshore/jobs/binary",
        "longshore/jobs/rotated:key",
        "longshore/jobs/rotated::NO_STAGE",
        "longshore/jobs/json:none",
        "longshore/jobs/json:deep",
        "longshore/jobs/json:__proto__",
        "longshore/jobs/json:toString",
      ],
      forbidden: [
        "longshore/own",
        "other",
        PREFIX,
        "longshore/jobsters",
        "/longshore/jobs/json",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:longshore/jobs/json-AbCdEf",
        "longshore/jobs/json:a:b:c:d",
        "longshore/jobs/json:::not-a-version",
      ],
      hidden: ["our own secret", "a deleted secret", "an older value", "admin"],
      dispose: async () => client.destroy(),
    };
  });

  it("is unavailable, not missing, while the service fails", async () => {
    const client = await secretsManager();
    injectFaults(client).strike({ fault: "error", times: 100 });
    const source = createSecretsManagerSecrets({ prefix: PREFIX, client });
    await expect(source.resolve(`${PREFIX}json`)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    client.destroy();
  });
});

describe("secretsmanager names and values", () => {
  it.each(["", "/longshore/", "longshore", "/"])("are not looked for under the prefix %j", (prefix) => {
    expect(() => createSecretsManagerSecrets({ prefix })).toThrow("slash");
  });

  it("are parsed as ECS writes them", () => {
    expect(parseReference("a/b")).toEqual({ id: "a/b" });
    expect(parseReference("a:k")).toEqual({ id: "a", jsonKey: "k" });
    expect(parseReference("a::S")).toEqual({ id: "a", stage: "S" });
    expect(parseReference("")).toBe(null);
  });

  it.each(["no json", "null", "3", '"text"', "[1]"])("have no member in %s", (text) => {
    let error: unknown;
    try {
      secretText({ SecretString: text }, "length");
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "NOT_FOUND" });
    // The parser's own failure quotes what it parsed.
    expect((error as Error).cause).toBe(undefined);
  });

  it.each([
    ["AccessDeniedException", "AUTH"],
    ["DecryptionFailure", "AUTH"],
    ["ResourceNotFoundException", "NOT_FOUND"],
    ["InternalServiceError", undefined],
  ])("%s is %s", (code, expected) => expect(refusalOf(code)?.code).toBe(expected));
});

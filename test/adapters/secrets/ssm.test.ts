import { LabelParameterVersionCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createSsmSecrets } from "../../../adapters/secrets/ssm/index.ts";
import { isUnder, refusalOf } from "../../../adapters/secrets/ssm/spec.ts";
import { secretsContract } from "../../contracts/secrets.ts";
import { labSettings } from "../../lab/aws.ts";
import { injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";

const PREFIX = "/longshore/jobs/";

async function ssm(): Promise<SSMClient> {
  return new SSMClient({ ...clientDefaults("ssm"), ...(await labSettings("aws")) });
}

describeWith("aws", "ssm secrets on moto", () => {
  secretsContract("ssm", async () => {
    const client = await ssm();
    const put = async (Name: string, Value: string, Type: "String" | "SecureString" | "StringList" = "SecureString") =>
      await client.send(new PutParameterCommand({ Name, Value, Type, Overwrite: true }));
    await put("/longshore/jobs/plain", "plain value", "String");
    await put("/longshore/jobs/deep/er/one", "an older value");
    await put("/longshore/jobs/deep/er/one", "a sealed value\n");
    await put("/longshore/jobs/list", "a,b", "StringList");
    await put("/longshore/own", "our own secret");
    await put("/other", "an outsider");
    await client.send(
      new LabelParameterVersionCommand({ Name: "/longshore/jobs/deep/er/one", ParameterVersion: 1, Labels: ["old"] }),
    );
    return {
      source: createSsmSecrets({ prefix: PREFIX, client }),
      known: {
        "/longshore/jobs/plain": "plain value",
        "/longshore/jobs/deep/er/one": "a sealed value\n",
        "/longshore/jobs/deep/er/one:1": "an older value",
        "/longshore/jobs/deep/er/one:old": "an older value",
        "/longshore/jobs/list": "a,b",
      },
      missing: [
        "/longshore/jobs/none",
        "/longshore/jobs/plain:99",
        "/longshore/jobs/plain:none",
        "/longshore/jobs/deep",
      ],
      forbidden: [
        "/longshore/own",
        "/other",
        "/none",
        PREFIX,
        "longshore/jobs/plain",
        "/longshore/jobs",
        "/longshore/jobsters/x",
        "arn:aws:ssm:us-east-1:123456789012:parameter/longshore/jobs/plain",
        "/longshore/jobs/*",
      ],
      hidden: ["our own secret", "an outsider"],
      dispose: async () => client.destroy(),
    };
  });

  it("is unavailable, not missing, while the service is throttled", async () => {
    const client = await ssm();
    injectFaults(client).strike({ fault: "throttled", times: 100 });
    const source = createSsmSecrets({ prefix: PREFIX, client });
    await expect(source.resolve(`${PREFIX}plain`)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    client.destroy();
  });
});

describe("ssm names", () => {
  it.each([
    "/longshore/jobs/",
    "/longshore/jobs/a b",
    "/longshore/jobs/a\n",
    "/longshore/jobs/a:1:2",
    "/longshore/jobs/a:",
  ])("refuse %j", (name) => expect(isUnder(name, PREFIX)).toBe(false));

  it.each(["", "longshore/", "/longshore", "x"])("are not looked for under the prefix %j", (prefix) => {
    expect(() => createSsmSecrets({ prefix })).toThrow("slash");
  });

  it.each([
    ["AccessDeniedException", "AUTH"],
    ["InvalidKeyId", "AUTH"],
    ["ParameterNotFound", "NOT_FOUND"],
    ["ParameterVersionNotFound", "NOT_FOUND"],
    ["ThrottlingException", undefined],
    [null, undefined],
  ])("%s is %s", (code, expected) => expect(refusalOf(code)?.code).toBe(expected));
});

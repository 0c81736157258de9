import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { openTlsDoor, type TlsDoor } from "../lab/tls-door.ts";
import { aJob, aLine, anEvent, JOB_ID, json, openStream, sse } from "../sdk/contract-server.ts";
import { ALICE, type IamServer, SESSION, startIamServer } from "../sdk/iam-server.ts";
import { runLongshore, temporaryDirectory } from "./spawn.ts";

const HOST = "lab1234567.execute-api.us-east-1.amazonaws.com";
const ALICES = { AWS_ACCESS_KEY_ID: ALICE.accessKeyId, AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey };
/** What only the holders of credentials may ever see. */
const SECRET = /secret\+key|session\+token|tok\/en|Signature=/;

describeWith("aws", "longshore with the endpoint of an API behind IAM", () => {
  let server: IamServer;
  let door: TlsDoor;
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;

  beforeAll(async () => {
    server = await startIamServer();
    door = await openTlsDoor(HOST, server.url);
    home = await temporaryDirectory();
    await mkdir(join(home.path, ".aws"));
  });
  afterAll(async () => {
    await door?.close();
    await server?.close();
    await home?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    server.received.length = 0;
    server.check.identities.clear();
    for (const one of [ALICE, SESSION]) server.check.identities.set(one.accessKeyId, one);
    server.answer = (_, response) => json(response, { items: [], nextCursor: null });
  });

  const environment = () => ({ HOME: home.path, AWS_EC2_METADATA_DISABLED: "true", ...door.env });
  /** The command as its user calls it: nothing but the endpoint tells it that the API is AWS's. */
  async function longshore(args: string[], env: Record<string, string>, endpoint = `${door.url}/api`) {
    const ran = await runLongshore(["--endpoint", endpoint, ...args], { ...environment(), ...env });
    expect(ran.stdout + ran.stderr).not.toMatch(SECRET);
    return ran;
  }
  const configure = (text: string) => writeFile(join(home.path, ".aws/config"), text);

  it("runs a job: submit and both streams are signed, through TLS, for the host's own name", async () => {
    server.answer = ({ method, target, headers }, response) => {
      expect(headers.host).toBe(HOST);
      const end = sse({ event: "end", data: aJob({ status: "FAILED", phase: null, exitCode: 3 }) });
      if (method === "POST") json(response, aJob(), 202);
      else if (target.includes("/logs")) openStream(response).end(sse({ id: 1, event: "log", data: aLine(1) }) + end);
      else openStream(response).end(sse({ id: 1, event: "event", data: anEvent(1) }) + end);
    };
    const { code, stdout, stderr } = await longshore(["run", "--label", "team=a b&c", "alpine"], ALICES);
    expect([code, stdout], stderr).toEqual([3, "line 1\n"]);
    expect(server.received.map(({ method, target }) => `${method} ${target}`).sort()).toEqual([
      `GET /api/v1/jobs/${JOB_ID}/events?follow=true`,
      `GET /api/v1/jobs/${JOB_ID}/logs?follow=true`,
      "POST /api/v1/jobs",
    ]);
    expect(new Set(server.received.map(({ userArn }) => userArn))).toEqual(new Set([ALICE.userArn]));
  });

  it("takes credentials that a profile's own program prints, before those of the environment, without a word", async () => {
    const program = join(home.path, "program");
    const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken } = SESSION;
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    const printed = JSON.stringify({ Version: 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration });
    await writeFile(program, `#!/bin/sh\necho '${printed}'\n`);
    await chmod(program, 0o700);
    await configure(`[profile jobs]\ncredential_process = ${program}\n`);
    const ran = await longshore(["--json", "jobs"], { ...ALICES, AWS_PROFILE: "jobs" });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(server.received[0]?.userArn).toBe(SESSION.userArn);
  });

  it("takes those that a container lends", async () => {
    const lender = createServer((_, response) => {
      const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token } = SESSION;
      json(response, { AccessKeyId, SecretAccessKey, Token, Expiration: new Date(Date.now() + 3_600_000) });
    });
    await new Promise<void>((resolve) => lender.listen(0, "127.0.0.1", resolve));
    const { port } = lender.address() as AddressInfo;
    const AWS_CONTAINER_CREDENTIALS_FULL_URI = `http://127.0.0.1:${port}/lent`;
    const { code, stderr } = await longshore(["jobs"], { AWS_CONTAINER_CREDENTIALS_FULL_URI });
    lender.closeAllConnections();
    await new Promise((resolve) => lender.close(resolve));
    expect(code, stderr).toBe(0);
    expect(server.received[0]?.userArn).toBe(SESSION.userArn);
  });

  it("says in one line that there are no credentials, or that they cannot be had, and sends nothing", async () => {
    const before = server.asked();
    const none = await longshore(["jobs"], {});
    expect(none).toMatchObject({ code: 125, stdout: "" });
    expect(none.stderr).toMatch(/^longshore: there are no AWS credentials: [^\n]+\n$/);
    await configure("[profile broken]\ncredential_process = sh -c 'echo tok/en >&2; exit 1' tok/en\n");
    const broken = await longshore(["--json", "jobs"], { AWS_PROFILE: "broken" });
    expect(broken).toMatchObject({ code: 125, stdout: "" });
    expect(JSON.parse(broken.stderr)).toEqual({
      code: "UNAUTHENTICATED",
      detail: expect.stringMatching(/^there are no AWS credentials/),
    });
    const sso = ["sso_session = s", "sso_account_id = 123456789012", "sso_role_name = r"].join("\n");
    const session = "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n";
    await configure(`[profile sso]\n${sso}\n${session}`);
    const over = await longshore(["jobs"], { AWS_PROFILE: "sso" });
    expect(over).toMatchObject({ code: 125, stdout: "" });
    expect(over.stderr).toMatch(/^longshore: the AWS session has expired: [^\n]*aws sso login[^\n]*\n$/);
    expect(server.asked()).toBe(before);
  });

  it("says that the caller may not, with a hint, and exits with 125", async () => {
    server.check.identities.set(ALICE.accessKeyId, { ...ALICE, mayCall: () => false });
    const { code, stderr } = await longshore(["jobs"], ALICES);
    expect(code).toBe(125);
    expect(stderr).toMatch(
      /^longshore: the caller's policies do not allow this call\n {2}[^\n]*execute-api:Invoke[^\n]*\n$/,
    );
    const asJson = await longshore(["--json", "jobs", "cancel", JOB_ID], ALICES);
    expect(asJson.code).toBe(125);
    expect(JSON.parse(asJson.stderr)).toMatchObject({
      status: 403,
      code: "FORBIDDEN",
      instance: `/api/v1/jobs/${JOB_ID}/cancel`,
      hints: [expect.stringContaining("execute-api:Invoke")],
    });
  });

  it("signs for a host of the operator's own when it is told to, for the region of the environment", async () => {
    const unsigned = await longshore(["jobs"], ALICES, server.url);
    expect(unsigned).toMatchObject({ code: 125, stderr: expect.stringContaining("LONGSHORE_AUTH=aws") });
    for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION"]) {
      const env = { ...ALICES, LONGSHORE_AUTH: "aws", [name]: "us-east-1" };
      expect((await longshore(["jobs"], env, server.url)).code).toBe(0);
    }
    expect(server.received).toHaveLength(2);
    const homeless = await longshore(["jobs"], { ...ALICES, LONGSHORE_AUTH: "aws" }, server.url);
    expect(homeless).toMatchObject({ code: 2, stderr: expect.stringMatching(/^longshore: [^\n]*AWS_REGION[^\n]*\n$/) });
    const slip = await longshore(["jobs"], { LONGSHORE_AUTH: "sigv4" }, server.url);
    expect(slip).toMatchObject({ code: 2, stderr: "longshore: LONGSHORE_AUTH must be aws or none\n" });
    const clear = await longshore(["jobs"], { ...ALICES }, `http://${HOST}/api`);
    expect(clear).toMatchObject({ code: 2, stderr: expect.stringContaining("must be https") });
  });
});

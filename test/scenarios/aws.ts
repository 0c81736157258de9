import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { runLongshore } from "../cli/spawn.ts";
import { ALICE, type AwsFront } from "../lab/aws-front.ts";
import { describeWith } from "../lab/counterparts.ts";
import type { DeployedHome } from "../lab/deployed-home.ts";
import type { DeployedStores } from "../lab/deployed-stores.ts";
import { conforming, createJudge } from "../lab/openapi.ts";
import { openTlsDoor } from "../lab/tls-door.ts";
import { artifactsKept } from "./artifacts.ts";
import { call, type Target } from "./client.ts";
import { collections } from "./collections.ts";
import type { Job, LogLine, Page } from "./contract.ts";
import { deadLetters } from "./dead-letters.ts";
import { happyLives } from "./happy.ts";
import { generatedSpecs, HOSTILE_SECRET, hostileParameters, hostileRequests } from "./hostile.ts";
import { images, REGISTRY_CREDENTIALS } from "./images.ts";
import { containersOf } from "./leftovers.ts";
import { limits, limitsEnv } from "./limits.ts";
import { runs } from "./runs.ts";
import { DOCKER, dockerJob } from "./runtimes.ts";
import { type SecretFacts, secretsStaySecret } from "./secrets.ts";
import { streams } from "./streams.ts";
import { retries, unhappyLives } from "./unhappy.ts";

/** A deployed home with its front door; known once the suite's hooks have run. */
export interface DeployedLab {
  home: DeployedHome;
  front: AwsFront;
  stores: DeployedStores;
}

/** Each call goes through two servers of Python and a process of its function: what takes 10 ms here takes 100. */
const SLOW = { timeout: 120_000 };
const WAIT = { timeout: 60_000, interval: 500 };
/** Where the operator lets jobs name secrets. */
const SECRETS = "longshore/jobs/";
const PARAMETERS = "/longshore/jobs/";
/** Above this moto, which works on one call at a time, answers later than a function may wait for DynamoDB. */
const FEW = { batch: 10, race: 8 };
/** One of them costs the lab half a second; the local home gets 10,000. */
const GENERATED = 30;

/** A home in AWS as the scenarios see it: through its front door, every request signed by the client's own signer. */
export function awsTarget(lab: () => DeployedLab): Target {
  return {
    home: "aws",
    api: () => `${lab().front.url}/api/v1`,
    fetch: (input, init) => lab().front.signedFetch(input, init),
    sign: (request) => lab().front.sign(request),
  };
}

/** Every scenario that is not declared to be the local home's alone, on a home in AWS that offers Docker and the stub. */
export function awsScenarios(lab: () => DeployedLab): void {
  const checked = conforming(createJudge(), (input, init) => lab().front.signedFetch(input, init));
  const target: Target = { ...awsTarget(lab), fetch: checked.fetch };

  describeWith("docker", "as the local home, with Docker", () => {
    describe("slowly", SLOW, () => {
      // The first one: it searches through all that there is in the account.
      secretsStaySecret({ name: "docker", home: "aws", job: dockerJob, open: opener(lab, target) });
      happyLives(target, DOCKER);
      // What the stub runs can be stopped by nobody but the process that started it.
      collections(target, { other: "docker", forever: DOCKER.forever, ...FEW });
      deadLetters(target, DOCKER);
      artifactsKept(target, { name: "docker", job: dockerJob });
      streams(target, { name: "docker", job: dockerJob });
      unhappyLives(target, { name: "docker", job: dockerJob, left: containersOf });
      runs(target, DOCKER);
    });
  });

  describeWith("docker", "to the command", () => {
    it("is an endpoint like any other", SLOW, async () => {
      const door = await openTlsDoor("lab1234567.execute-api.us-east-1.amazonaws.com", lab().front.url);
      const env = {
        ...door.env,
        LONGSHORE_ENDPOINT: `${door.url}/api`,
        AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
        AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
      };
      try {
        const ran = await runLongshore(["run", "--spec", "-"], env, JSON.stringify(DOCKER.talk(3)));
        expect([ran.code, ran.stdout], ran.stderr).toEqual([3, "one\ntwo\n"]);
        expect(ran.stderr).toMatch(/^oops$/m);
        const jobId = /job_[0-9A-Z]{26}/.exec(ran.stderr)?.[0] ?? "";
        const logs = await runLongshore(["--json", "jobs", "logs", jobId], env);
        const lines = logs.stdout.trimEnd().split("\n");
        expect(lines.map((line) => (JSON.parse(line) as LogLine).text).sort()).toEqual(["one", "oops", "two"]);
        const again = await runLongshore(["jobs", "cancel", jobId], env);
        expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/^longshore: [^\n]+\n$/)]);
      } finally {
        await door.close();
      }
    });
  });

  describeWith(["docker", "registry"], "as the local home, with a registry", () => {
    describe("slowly", SLOW, () => {
      beforeAll(async () => {
        for (const [name, value] of Object.entries(REGISTRY_CREDENTIALS)) await keepSecret(lab(), name, value);
      });
      images(target, { from: `secretsmanager:${SECRETS}` });
    });
  });

  describe("as the local home", SLOW, () => {
    retries(target);
    const told: string[] = [];
    const asked: Target = { ...target, record: (text) => told.push(text) };
    hostileRequests(asked, () => ({ outside: "/outside", linkInside: "/outside/link" }));
    hostileParameters(asked);
    generatedSpecs(target, GENERATED);

    describe("what it said to them", () => {
      it("holds no secret, neither in an answer nor in a log", () => {
        expect(told.length).toBeGreaterThan(100);
        expect(told.filter((text) => text.includes(HOSTILE_SECRET))).toEqual([]);
        expect(lab().home.runner.output()).not.toContain(HOSTILE_SECRET);
      });
    });
  });

  describeWith("docker", "as the local home, with settings of their own", () => {
    describe("slowly", SLOW, () => {
      beforeAll(async () => {
        // Whoever still waits would take a place of the few.
        await vi.waitFor(async () => {
          const { body } = await call<Page<Job>>(target, "/jobs?status=PENDING");
          expect(body.items).toEqual([]);
        }, WAIT);
        await lab().home.configure({ ...limitsEnv("docker"), LONGSHORE_SHARDS: "1" });
      }, SLOW.timeout);
      limits(target, DOCKER);
    });
  });

  describe("what they asked and were answered", () => {
    it("is as the description of the API has it", async () => {
      expect((await call(target, "/openapi.json")).status).toBe(200);
      expect(checked.faults).toEqual([]);
    });
  });
}

function opener(lab: () => DeployedLab, target: Target): SecretFacts["open"] {
  return async (values, record) => {
    const { home, stores } = lab();
    await keepSecret(lab(), "scenario", values.FROM_SOURCE);
    const parameters = new SSMClient(home.client);
    const Name = `${PARAMETERS}scenario`;
    await parameters.send(new PutParameterCommand({ Name, Value: values.FROM_OTHER, Type: "SecureString" }));
    parameters.destroy();
    return {
      ...target,
      record,
      sources: { FROM_SOURCE: `secretsmanager:${SECRETS}scenario`, FROM_OTHER: `ssm:${Name}` },
      refused: [
        ...["env:AWS_SECRET_ACCESS_KEY", "file:/etc/passwd", "ssm:/elsewhere/a", "secretsmanager:elsewhere/a"],
        `secretsmanager:${SECRETS}missing`,
      ],
      holding: stores.holding,
      output: home.runner.output,
      // The stack goes with its file.
      dispose: async () => undefined,
    };
  };
}

async function keepSecret({ home }: DeployedLab, name: string, value: string): Promise<void> {
  const client = new SecretsManagerClient(home.client);
  await client.send(new CreateSecretCommand({ Name: `${SECRETS}${name}`, SecretString: value }));
  client.destroy();
}

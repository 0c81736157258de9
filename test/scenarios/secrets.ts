import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  call,
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  logsOf,
  printed,
  problemOf,
  show,
  submit,
  type Target,
} from "./client.ts";
import type { Job, Spec } from "./contract.ts";
import { onlyWhere } from "./homes.ts";
import { holds, sha256 } from "./needles.ts";

/** With what URLs, JSON and base64 write differently. */
const secret = (name: string) => `${name}/+&%=:${randomBytes(12).toString("hex")}~"é`;

const NAMES = ["DB_PASSWORD", "FROM_SOURCE", "FROM_OTHER", "MY_ODD_NAME"] as const;

/** The values of a run, by the variables that get them. */
export type SecretValues = Record<(typeof NAMES)[number], string>;

/** A home that knows the values of its two sources, and in whose stores can be searched. */
export interface SecretHome extends Target {
  /** What names the values in a spec, such as `env:NAME`. */
  sources: { FROM_SOURCE: string; FROM_OTHER: string };
  /** What no job may name, or what is not there. */
  refused: string[];
  /** For each text the places of its stores that hold it in any form. */
  holding(texts: readonly string[]): Promise<string[][]>;
  /** What it wrote for its operator so far. */
  output(): string;
  /** Ends it as by `kill -9`, and starts it again; where there is a process to be killed. */
  crash?: { end(): Promise<unknown>; start(): Promise<void> };
  dispose(): Promise<void>;
}

export interface SecretFacts {
  name: string;
  home: NonNullable<Target["home"]>;
  job(script: string, more?: Spec): Spec;
  /** Opens a home; what it answers goes to `record`. */
  open(values: SecretValues, record: (text: string) => void): Promise<SecretHome>;
}
const PROOF = NAMES.map((name) => `printf '${name} is '; printf %s "$${name}" | sha256sum`).join("; ");
const LEAK = [
  'echo "the job says $DB_PASSWORD aloud"',
  'printf "%s\\n" "$FROM_SOURCE" >&2',
  'printf %s "$FROM_OTHER" | base64',
  // In two writes: the value is whole only where the line is.
  'a=$(printf %s "$MY_ODD_NAME" | cut -c1-10); b=$(printf %s "$MY_ODD_NAME" | cut -c11-); printf %s "$a"; sleep 0.2; echo "$b"',
].join("; ");

/** That a secret value reaches the job and nothing else: no file, answer, event, log or error of Longshore's. */
export function secretsStaySecret(facts: SecretFacts): void {
  describe(`secrets of a job on ${facts.name}`, () => {
    const values = Object.fromEntries(NAMES.map((name) => [name, secret(name.toLowerCase())])) as SecretValues;
    const marker = `marker-${randomBytes(8).toString("hex")}`;
    const spoken: string[] = [];
    let home: SecretHome;

    const spec = (script: string, more: Spec = {}): Spec =>
      facts.job(script, {
        env: { DB_PASSWORD: values.DB_PASSWORD, MY_ODD_NAME: values.MY_ODD_NAME, PLAIN_MARKER: marker },
        sensitive: ["MY_ODD_NAME"],
        secrets: {
          FROM_SOURCE: { from: home.sources.FROM_SOURCE },
          FROM_OTHER: { from: home.sources.FROM_OTHER },
        },
        ...more,
      });

    async function nowhere(): Promise<void> {
      // What is no secret is found: so the search would find one.
      const [places, ...ofValues] = await home.holding([marker, ...Object.values(values)]);
      expect(places).not.toEqual([]);
      expect(ofValues).toEqual(ofValues.map(() => []));
      const told = [...spoken, home.output()].filter((text) =>
        Object.values(values).some((value) => holds(text, value)),
      );
      expect(told).toEqual([]);
    }

    /** Asks for the record in every form: what is answered is searched too. */
    async function recorded(jobId: string): Promise<void> {
      for (const form of ["", "/receipt", "/summary", "/events"]) {
        const answer = await call(home, `/runs/${jobId}${form}`);
        expect(answer.status, answer.text).toBe(200);
      }
    }

    async function proven(jobId: string): Promise<void> {
      const texts = (await logsOf(home, jobId)).map(({ text }) => text);
      for (const name of NAMES) expect(texts).toContain(`${name} is ${sha256(values[name])}  -`);
    }

    beforeAll(async () => {
      home = await facts.open(values, (text) => spoken.push(text));
    });
    afterAll(async () => {
      await home?.dispose();
    });

    const LIFE = `${PROOF}; ${LEAK}; echo ready; trap 'exit 0' TERM; sleep 1000 & wait`;

    it("reach the job, and rest nowhere: while it runs, and in the end", async () => {
      const { jobId } = await submit(home, spec(LIFE));
      await printed(home, jobId, "ready");
      await nowhere();
      await proven(jobId);
      await cancel(home, jobId);
      await cleanedUp(home, jobId);
      await proven(jobId);
      const texts = (await logsOf(home, jobId)).map(({ text }) => text);
      expect(texts).toContain("the job says ***REDACTED*** aloud");
      expect(texts.filter((text) => text === "***REDACTED***").length).toBeGreaterThanOrEqual(2);
      await call(home, `/jobs/${jobId}/logs`, { headers: { Accept: "text/plain" } });
      await eventsOf(home, jobId);
      const job = await show(home, jobId);
      expect(job.spec).toMatchObject({
        env: { DB_PASSWORD: "***REDACTED***", MY_ODD_NAME: "***REDACTED***", PLAIN_MARKER: marker },
        secrets: { FROM_SOURCE: { from: home.sources.FROM_SOURCE } },
      });
      await recorded(jobId);
      await nowhere();
      // What was logged for debugging is part of what was searched.
      expect(home.output()).toMatch(/"level"/);
    });

    onlyWhere(facts, "local", {
      reason: "in AWS there is no process of Longshore's to be killed between two calls",
      fn: () => {
        it("rest nowhere after a kill -9 either, and are masked as before", async () => {
          const { jobId } = await submit(home, spec(LIFE));
          await printed(home, jobId, "ready");
          await home.crash?.end();
          await nowhere();
          await home.crash?.start();
          expect(await show(home, jobId)).toMatchObject({ status: "RUNNING" });
          await nowhere();
          await cancel(home, jobId);
          await cleanedUp(home, jobId);
          await proven(jobId);
          const texts = (await logsOf(home, jobId)).map(({ text }) => text);
          expect(texts).toContain("the job says ***REDACTED*** aloud");
          await nowhere();
        });
      },
    });

    it("come again with a retry by hand", async () => {
      const { jobId } = await submit(home, spec(`${PROOF}; exit 7`));
      expect(await ended(home, jobId)).toMatchObject({ status: "FAILED", exitCode: 7 });
      const again = await call<Job>(home, `/jobs/${jobId}/retry`, { method: "POST" });
      expect(again.status, again.text).toBe(202);
      await cleanedUp(home, again.body.jobId);
      await proven(again.body.jobId);
      await nowhere();
    });

    it("are in no error: of a command that is not there, and of a job that prints them and fails", async () => {
      const path = `/nowhere/${values.DB_PASSWORD}`;
      const { jobId } = await submit(home, { ...spec(""), command: [path, values.DB_PASSWORD] });
      expect(await ended(home, jobId)).toMatchObject({ status: "FAILED", error: { category: "USER_CODE" } });
      await cleanedUp(home, jobId);
      const { jobId: loud } = await submit(home, spec('echo "fatal: $DB_PASSWORD" >&2; exit 9'));
      expect(await ended(home, loud)).toMatchObject({ status: "FAILED", exitCode: 9 });
      await cleanedUp(home, loud);
      for (const one of [jobId, loud]) await recorded(one);
      expect((await call(home, `/runs/${loud}/summary`)).text).toContain("fatal: ***REDACTED***");
      await nowhere();
    });

    it("are in no answer to a request that is refused", async () => {
      const value = values.DB_PASSWORD;
      const env = { DB_PASSWORD: value };
      const body = JSON.stringify({ runtime: "stub", env });
      for (const broken of [
        body.slice(0, -1),
        `${body}}`,
        body.replace('{"runtime', "{'runtime"),
        body.replace(":{", ":{,"),
      ]) {
        problemOf(await call(home, "/jobs", { body: broken }), 400, "MALFORMED");
      }
      const invalid: Spec[] = [
        { env: { ...env, B: { nested: value } } },
        { env, name: value },
        { env, timeoutSeconds: value },
        { env, image: `${value}:x:y` },
        { env, command: [value, 1] },
        { env, labels: { a: value } },
        { env, workdir: `/../${value}` },
        { env, secrets: { A: { from: value } } },
        { env, cleanup: value },
        { env, user: value, volumes: [{ source: value, target: value }] },
        { env, runtime: "stub", sidecars: [{ name: "s", image: "alpine", env }] },
      ];
      for (const wrong of invalid) {
        const answer = await call(home, "/jobs", { body: { runtime: "stub", ...wrong } });
        problemOf(answer, 422, "VALIDATION");
        expect(holds(answer.text, value)).toBe(false);
      }
      const type = { "Content-Type": "text/plain" };
      problemOf(await call(home, "/jobs", { body, headers: type }), 415, "UNSUPPORTED_MEDIA_TYPE");
      await nowhere();
    });

    it("of Longshore itself, of other programs and of other places are refused", async () => {
      for (const from of home.refused) {
        const { jobId } = await submit(home, facts.job("true", { secrets: { A: { from } } }));
        const job = await ended(home, jobId);
        expect(job, from).toMatchObject({ status: "FAILED", exitCode: null, startedAt: null });
        expect(["AUTH", "NOT_FOUND"]).toContain(job.error?.category);
        await cleanedUp(home, jobId);
      }
      // A job does not get the home's own environment.
      const { jobId } = await submit(home, facts.job("env; echo end"));
      await cleanedUp(home, jobId);
      const text = (await logsOf(home, jobId)).map((line) => line.text).join("\n");
      expect(text).toContain("end");
      expect(text).not.toMatch(/SCENARIO_VALUE|LONGSHORE_(HOME|LOG_LEVEL|SECRET_ROOTS|TABLE)|AWS_/);
      await nowhere();
    });
  });
}

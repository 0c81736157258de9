import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, cancel, cleanedUp, ended, eventsOf, logsOf, printed, problemOf, show, submit } from "./client.ts";
import type { Job, Spec } from "./contract.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "./local-home.ts";
import { filesWith, holds, sha256 } from "./needles.ts";

/** With what URLs, JSON and base64 write differently. */
const secret = (name: string) => `${name}/+&%=:${randomBytes(12).toString("hex")}~"é`;

const NAMES = ["DB_PASSWORD", "FROM_ENV", "FROM_FILE", "MY_ODD_NAME"] as const;
const PROOF = NAMES.map((name) => `printf '${name} is '; printf %s "$${name}" | sha256sum`).join("; ");
const LEAK = [
  'echo "the job says $DB_PASSWORD aloud"',
  'printf "%s\\n" "$FROM_ENV" >&2',
  'printf %s "$FROM_FILE" | base64',
  // In two writes: the value is whole only where the line is.
  'a=$(printf %s "$MY_ODD_NAME" | cut -c1-10); b=$(printf %s "$MY_ODD_NAME" | cut -c11-); printf %s "$a"; sleep 0.2; echo "$b"',
].join("; ");

/** That a secret value reaches the job and nothing else: no file, answer, event, log or error of Longshore's. */
export function secretsStaySecret(facts: { name: string; job(script: string, more?: Spec): Spec }): void {
  describe(`secrets of a job on ${facts.name}`, () => {
    const values = Object.fromEntries(NAMES.map((name) => [name, secret(name.toLowerCase())])) as Record<
      (typeof NAMES)[number],
      string
    >;
    const marker = `marker-${randomBytes(8).toString("hex")}`;
    const spoken: string[] = [];
    let home: LocalHome;
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;

    const spec = (script: string, more: Spec = {}): Spec =>
      facts.job(script, {
        env: { DB_PASSWORD: values.DB_PASSWORD, MY_ODD_NAME: values.MY_ODD_NAME, PLAIN_MARKER: marker },
        sensitive: ["MY_ODD_NAME"],
        secrets: {
          FROM_ENV: { from: "env:SCENARIO_VALUE" },
          FROM_FILE: { from: `file:${join(folder.path, "value")}` },
        },
        ...more,
      });

    async function nowhere(): Promise<void> {
      for (const value of Object.values(values)) expect(await filesWith(home.data, value)).toEqual([]);
      // What is no secret is found: so the search would find one.
      expect(await filesWith(home.data, marker)).not.toEqual([]);
      const told = [...spoken, home.output()].filter((text) =>
        Object.values(values).some((value) => holds(text, value)),
      );
      expect(told).toEqual([]);
    }

    async function proven(jobId: string): Promise<void> {
      const texts = (await logsOf(home, jobId)).map(({ text }) => text);
      for (const name of NAMES) expect(texts).toContain(`${name} is ${sha256(values[name])}  -`);
    }

    beforeAll(async () => {
      folder = await temporaryFolder();
      await writeFile(join(folder.path, "value"), `${values.FROM_FILE}\n`);
      home = await startLocalHome({
        env: { SCENARIO_VALUE: values.FROM_ENV, LONGSHORE_SECRET_ROOTS: folder.path },
        record: (text) => spoken.push(text),
      });
    });
    afterAll(async () => {
      await home.dispose();
      await folder.remove();
    });

    it("reach the job, and rest nowhere: while it runs, after a kill -9, and in the end", async () => {
      const { jobId } = await submit(
        home,
        spec(`${PROOF}; ${LEAK}; echo ready; trap 'exit 0' TERM; sleep 1000 & wait`),
      );
      await printed(home, jobId, "ready");
      await nowhere();
      await proven(jobId);
      await home.end("SIGKILL");
      await nowhere();
      await home.start();
      expect(await show(home, jobId)).toMatchObject({ status: "RUNNING" });
      await nowhere();
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
        secrets: { FROM_ENV: { from: "env:SCENARIO_VALUE" } },
      });
      await nowhere();
      // What was logged for debugging is part of what was searched.
      expect(home.output()).toMatch(/"level"/);
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
      const refused = [
        "env:LONGSHORE_HOME",
        "env:AWS_SECRET_ACCESS_KEY",
        "env:PATH_THAT_IS_NOT_SET",
        "file:/etc/passwd",
      ];
      for (const from of [
        ...refused,
        `file:${join(home.data, "key")}`,
        `file:${join(folder.path, "missing")}`,
        "ssm:/a",
      ]) {
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
      expect(text).not.toMatch(/SCENARIO_VALUE|LONGSHORE_(HOME|LOG_LEVEL|SECRET_ROOTS)/);
      await nowhere();
    });
  });
}

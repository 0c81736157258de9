import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { call, cleanedUp, ended, eventsOf, show, submit, type Target } from "./client.ts";
import type { Spec } from "./contract.ts";

const FILES = { "out/a.csv": "a,b\n", "out/sp ace é%.txt": "odd" };
const SCRIPT = `mkdir out
printf 'a,b\\n' > out/a.csv; printf odd > 'out/sp ace é%.txt'; head -c 5000 /dev/zero > out/big; echo no > other`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

interface Listed {
  items: { name: string; sizeBytes: number; sha256: string }[];
  refused: { path: string; code: string }[];
}

/** The files that a job leaves: listed, told in its events, and handed over byte by byte. */
export function artifactsKept(target: Target, facts: { name: string; job(script: string, more?: Spec): Spec }): void {
  const job = (artifacts: Spec["artifacts"]): Spec => facts.job(SCRIPT, { artifacts });

  describe(`the files of a job on ${facts.name}`, () => {
    it("are listed, shown and told, and those that were refused as well", async () => {
      const { jobId } = await submit(target, job({ paths: ["out/*", "gone/*"], maxBytes: 1000 }));
      await ended(target, jobId);
      await cleanedUp(target, jobId);
      const { status, body } = await call<Listed>(target, `/jobs/${jobId}/artifacts`);
      expect(status).toBe(200);
      expect(body.items.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
        ["out/a.csv", 4],
        ["out/sp ace é%.txt", 3],
      ]);
      expect(body.refused.map(({ path, code }) => [path.replace(/^\//, ""), code])).toEqual([
        ["out/big", "too_big"],
        ["gone/*", "no_match"],
      ]);
      expect((await show(target, jobId)).artifacts).toEqual(body.items);
      const events = await eventsOf(target, jobId);
      expect(events.filter(({ type }) => type === "ARTIFACT_READY").map(({ data }) => data.name)).toEqual(
        body.items.map(({ name }) => name),
      );
    });

    it("are handed over, whole or in part, also after the job's resource is gone", async () => {
      const { jobId } = await submit(target, job({ paths: ["out/*"] }));
      await ended(target, jobId);
      await cleanedUp(target, jobId);
      const { body } = await call<Listed>(target, `/jobs/${jobId}/artifacts`);
      for (const [name, text] of Object.entries(FILES)) {
        const at = `/jobs/${jobId}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`;
        const whole = await fetched(target, at);
        expect([whole.status, whole.text], name).toEqual([200, text]);
        expect(body.items.find((one) => one.name === name)?.sha256).toBe(sha256(text));
        const part = await fetched(target, at, { headers: { range: "bytes=1-" } });
        expect([part.status, part.text], name).toEqual([206, text.slice(1)]);
        expect((await fetched(target, at, { method: "HEAD" })).status).toBe(200);
      }
      expect((await fetched(target, `/jobs/${jobId}/artifacts/out/none`)).status).toBe(404);
    });
  });
}

/** The bytes behind a path, also where the answer sends to another address: that one is asked without credentials. */
async function fetched(
  target: Target,
  path: string,
  asked: { method?: string; headers?: Record<string, string> } = {},
) {
  const { method = "GET", headers = {} } = asked;
  const url = `${target.api()}${path}`;
  const first = await (target.fetch ?? fetch)(url, { method, headers, redirect: "manual" });
  const location = first.status === 307 ? first.headers.get("location") : null;
  const answer = location === null ? first : await fetch(location, { method, headers });
  const text = await answer.text();
  target.record?.(text);
  return { status: answer.status, text };
}

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";

const SUITE = /^export function (\w+)\(\s*(?:target: Target|facts: SecretFacts)\b/gm;

it("every suite of scenarios is asked of both homes", async () => {
  const texts = new Map<string, string>();
  for (const name of (await readdir(import.meta.dirname)).filter((file) => file.endsWith(".ts"))) {
    texts.set(name, await readFile(join(import.meta.dirname, name), "utf8"));
  }
  const suites = [...texts.values()].flatMap((text) => [...text.matchAll(SUITE)].map(([, suite = ""]) => suite));
  expect(suites).toEqual(expect.arrayContaining(["happyLives", "collections", "hostileRequests", "secretsStaySecret"]));
  const asked = (suite: string, files: RegExp) =>
    [...texts].some(([name, text]) => files.test(name) && new RegExp(`^ *${suite}\\(`, "m").test(text));
  expect(suites.filter((suite) => !asked(suite, /^local-.*\.test\.ts$/))).toEqual([]);
  expect(suites.filter((suite) => !asked(suite, /^aws\.ts$/))).toEqual([]);
});

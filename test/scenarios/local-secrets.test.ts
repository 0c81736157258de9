import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { cleanedUp, ended, submit } from "./client.ts";
import { startLocalHome, temporaryFolder } from "./local-home.ts";
import { filesWith, formsOf, holds } from "./needles.ts";
import { dockerJob, processJob } from "./runtimes.ts";
import { type SecretFacts, secretsStaySecret } from "./secrets.ts";

/** A home that takes one value from its environment and the other one from a file. */
const open: SecretFacts["open"] = async (values, record) => {
  const folder = await temporaryFolder();
  await writeFile(join(folder.path, "value"), `${values.FROM_OTHER}\n`);
  const env = { SCENARIO_VALUE: values.FROM_SOURCE, LONGSHORE_SECRET_ROOTS: folder.path };
  const home = await startLocalHome({ env, record }).catch(async (error: unknown) => {
    await folder.remove();
    throw error;
  });
  return {
    api: home.api,
    record,
    sources: { FROM_SOURCE: "env:SCENARIO_VALUE", FROM_OTHER: `file:${join(folder.path, "value")}` },
    refused: [
      ...["env:LONGSHORE_HOME", "env:AWS_SECRET_ACCESS_KEY", "env:PATH_THAT_IS_NOT_SET", "file:/etc/passwd", "ssm:/a"],
      `file:${join(home.data, "key")}`,
      `file:${join(folder.path, "missing")}`,
    ],
    holding: (texts) => Promise.all(texts.map((text) => filesWith(home.data, text))),
    output: home.output,
    crash: { end: () => home.end("SIGKILL"), start: home.start },
    async dispose() {
      await home.dispose();
      await folder.remove();
    },
  };
};

describe("the search for a value", () => {
  it("finds it in every form, in files that lie deep", async () => {
    const { mkdir, writeFile } = await import("node:fs/promises");
    const folder = await temporaryFolder();
    const value = "a secret/value+with=some&marks";
    await mkdir(`${folder.path}/a/b`, { recursive: true });
    const written = [value, encodeURIComponent(value), Buffer.from(value).toString("hex")];
    for (const pad of ["", "x", "xy"]) written.push(Buffer.from(`${pad}${value}${pad}`).toString("base64"));
    for (const [index, text] of written.entries())
      await writeFile(`${folder.path}/a/b/${index}`, `before ${text} after`);
    await writeFile(`${folder.path}/a/none`, "nothing of it");
    expect((await filesWith(folder.path, value)).sort()).toEqual(written.map((_, index) => `a/b/${index}`));
    expect(holds(written.join(), value)).toBe(true);
    expect(formsOf(value).length).toBeGreaterThanOrEqual(6);
    await folder.remove();
  });
});

secretsStaySecret({ name: "process", home: "local", job: processJob, open });

describeWith("docker", "with Docker", () => {
  secretsStaySecret({ name: "docker", home: "local", job: dockerJob, open });

  it("tells no secret of an image reference that cannot be pulled", async () => {
    const value = randomBytes(12).toString("hex");
    const spoken: string[] = [];
    const home = await startLocalHome({ record: (text) => spoken.push(text) });
    try {
      // Port 1 of loopback: nobody is there.
      const image = `127.0.0.1:1/repository-${value}:tag-${value}`;
      const { jobId } = await submit(home, dockerJob("true", { image, name: "pull", env: { REGISTRY_TOKEN: value } }));
      expect(await ended(home, jobId)).toMatchObject({ status: "FAILED", error: { category: "IMAGE_PULL" } });
      await cleanedUp(home, jobId);
      expect([...spoken, home.output()].filter((text) => holds(text, value))).toEqual([]);
      expect(await filesWith(home.data, value)).toEqual([]);
      expect(await filesWith(home.data, "repository-")).not.toEqual([]);
    } finally {
      await home.dispose();
    }
  });
});

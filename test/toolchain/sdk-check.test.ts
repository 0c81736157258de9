import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "./sources.ts";

/** What the check reads. */
const SOURCES = ["engine", "functions", "sdk", "test/lab", "test/sdk/document", "test/toolchain"];
const FILES = ["package.json", "tsconfig.json"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-check-"));
  for (const source of [...SOURCES, ...FILES]) await cp(join(ROOT, source), join(folder, source), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the check says of the sources with some texts replaced; they are put back. */
async function checked(changes: readonly (readonly [file: string, from: string, to: string])[]) {
  const before = new Map<string, string>();
  for (const [file, from, to] of changes) {
    const path = join(folder, file);
    const text = await readFile(path, "utf8");
    if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
    before.set(path, before.get(path) ?? text);
    await writeFile(path, text.replace(from, to));
  }
  try {
    const run = await execa("node", ["test/toolchain/sdk-check.ts"], { cwd: folder, reject: false, all: true });
    return { code: run.exitCode, said: run.all };
  } finally {
    for (const [path, text] of before) await writeFile(path, text);
  }
}

const TYPES = "sdk/types.ts";
const CLIENT = "sdk/client.ts";
const SHAPES = "functions/api/shapes.ts";
const JOBS = "functions/api/operations-jobs.ts";

describe("the check of the client", () => {
  it("finds nothing where nothing differs", async () => {
    expect(await checked([])).toEqual({ code: 0, said: "the client is as the API is described" });
  });

  it("names the member that only one of them has, or that is another in each", async () => {
    const { code, said } = await checked([
      [TYPES, "  durationMs: number | null;\n", ""],
      [SHAPES, "      gpu: flag,\n", ""],
      [TYPES, "checkedAt: string | null }", "checkedAt: string }"],
      [TYPES, "  attempts: number;\n", "  attempts?: number;\n"],
    ]);
    expect(code).toBe(1);
    expect(said).toMatch(/types\.ts\(.*onlyInTheDocument: "durationMs"/);
    expect(said).toMatch(/different: "capabilities" \| "health"|different: "health" \| "capabilities"/);
    expect(said).toMatch(/different: "attempts"/);
  });

  it("names the method that has no operation, and the operation that no method calls", async () => {
    const { code, said } = await checked([
      [CLIENT, "    cost(jobId: string,", "    price(jobId: string): Promise<Cost>;\n    cost(jobId: string,"],
      ["functions/routes.ts", '  ["GET", "/v1/health"],', '  ["GET", "/v1/health"],\n  ["GET", "/v1/weather"],'],
      [
        "functions/api/operations.ts",
        '  "GET /v1/health": operation({',
        '  "GET /v1/weather": operation({ id: "getWeather", tag: "home", summary: "s", answers: { 204: { description: "d" } }, problems: [] }),\n  "GET /v1/health": operation({',
      ],
    ]);
    expect(code).toBe(1);
    expect(said).toMatch(/"jobs\.price"/);
    expect(said).toContain("no method of the client calls GET /v1/weather");
  });

  it("names the route without a description, which is not described at all", async () => {
    const { code, said } = await checked([
      ["functions/routes.ts", '  ["GET", "/v1/health"],', '  ["GET", "/v1/health"],\n  ["GET", "/v1/weather"],'],
    ]);
    expect(code).toBe(1);
    expect(said).toContain("GET /v1/weather");
  });

  it("names the parameter that is another, and the path and the body that are", async () => {
    const { code, said } = await checked([
      [CLIENT, "return { ...filter, label:", "return { ...filter, labels:"],
      [JOBS, "      dryRun: {", "      tryOnly: {"],
      [CLIENT, 'at(jobId, "/cost")', 'at(jobId, "/price")'],
      [CLIENT, '"idempotency-key": idempotencyKey', '"idempotency": idempotencyKey'],
      [CLIENT, '"/jobs/batch", { jobs }', '"/jobs/batch", { specs: jobs }'],
    ]);
    expect(code).toBe(1);
    for (const difference of [
      "client.jobs.listPage: the parameter labels of listJobs is not described",
      "no method of the client sends label to GET /v1/jobs",
      "client.jobs.dryRun: the parameter dryRun of submitJob is not described",
      "no method of the client sends tryOnly to POST /v1/jobs",
      `/price is not described, not getCost`,
      "the header idempotency of submitJob is not described",
      "no method of the client sends Idempotency-Key to POST /v1/jobs",
      "client.jobs.submitBatch: the body",
    ])
      expect(said).toContain(difference);
  });

  it("names the method that makes something else of its answer", async () => {
    const { code, said } = await checked([
      [CLIENT, "call)).items,\n      get:", "call)).items.slice(1),\n      get:"],
      [CLIENT, "cursor = page.nextCursor ?? undefined;", "cursor = undefined;"],
    ]);
    expect(code).toBe(1);
    expect(said).toContain("client.jobs.list: it does not give what the description says");
    expect(said).toContain("client.runtimes.list: it does not give what the description says");
  });
});

import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, isShared, unitOf } from "./import-rules.ts";
import { repositoryFiles } from "./sources.ts";

/** The adapters that no test file hands to the contract suite of their port, by the paths and texts of all sources. */
function withoutContract(files: ReadonlyMap<string, string>): string[] {
  const sources = [...files].filter(([path]) => path.endsWith(".ts"));
  const adapters = new Set(
    sources
      .map(([path]) => path)
      .filter((path) => path.startsWith("adapters/") && !isShared(path))
      .map(unitOf),
  );
  const tests = sources.map(([path]) => path).filter((path) => path.endsWith(".test.ts"));
  const reached = tests.map((path) => reach(path, files));
  return [...adapters].filter((adapter) => !reached.some((targets) => covers(targets, adapter)));
}

/** A test covers an adapter when it loads both the adapter and the suite of its port. */
function covers(targets: ReadonlySet<string>, adapter: string): boolean {
  const port = adapter.split("/")[1];
  const suite = targets.has(`test/contracts/${port}.ts`);
  return suite && [...targets].some((target) => target.startsWith("adapters/") && unitOf(target) === adapter);
}

/** All that a test loads, through its own helpers too; what an adapter or a suite loads is their own affair. */
function reach(path: string, files: ReadonlyMap<string, string>, seen = new Set<string>()): Set<string> {
  for (const target of targetsOf(path, files.get(path) ?? "")) {
    if (seen.has(target)) continue;
    seen.add(target);
    if (target.startsWith("test/") && !target.startsWith("test/contracts/")) reach(target, files, seen);
  }
  return seen;
}

function targetsOf(path: string, text: string): string[] {
  return importsOf(path, text)
    .filter(({ specifier, kind }) => specifier?.startsWith(".") && kind !== "type")
    .map(({ specifier }) => posix.normalize(posix.join(posix.dirname(path), specifier ?? "")));
}

const ADAPTER = ["adapters/table/dynamodb/index.ts", "export const createDynamodbTable = 1;"] as const;
const TEST = "test/adapters/table/dynamodb.test.ts";
const SUITE = `import { tableContract } from "../../contracts/table.ts";`;
const SUBJECT = `import { createDynamodbTable } from "../../../adapters/table/dynamodb/index.ts";`;

describe("contract suites", () => {
  it("are missed for an adapter without any test", () => {
    expect(withoutContract(new Map([ADAPTER]))).toEqual(["adapters/table/dynamodb"]);
  });

  it.each([
    ["does not load the suite", SUBJECT],
    ["does not load the adapter", SUITE],
    ["loads another port's suite", `${SUBJECT} import { x } from "../../contracts/objects.ts";`],
    ["loads another adapter", `${SUITE} import { x } from "../../../adapters/table/sqlite/index.ts";`],
    ["loads the suite as a type only", `${SUBJECT} import type { X } from "../../contracts/table.ts";`],
  ])("are missed when the test %s", (_, text) => {
    expect(withoutContract(new Map([ADAPTER, [TEST, text]]))).toEqual(["adapters/table/dynamodb"]);
  });

  it("are seen when one test loads both", () => {
    expect(withoutContract(new Map([ADAPTER, [TEST, `${SUITE} ${SUBJECT}`]]))).toEqual([]);
  });

  it("are seen when the test loads the adapter through a helper", () => {
    const helper = ["test/adapters/table/make.ts", SUBJECT] as const;
    const test = [TEST, `${SUITE} import { make } from "./make.ts";`] as const;
    expect(withoutContract(new Map([ADAPTER, helper, test]))).toEqual([]);
  });

  it("are not asked of what adapters share", () => {
    expect(withoutContract(new Map([["adapters/aws/client.ts", "export const defaults = 1;"]]))).toEqual([]);
  });

  it("are called for every adapter of the repository", async () => {
    expect(withoutContract(await repositoryFiles())).toEqual([]);
  });
});

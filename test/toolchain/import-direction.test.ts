import { describe, expect, it } from "vitest";
import { violations } from "./import-rules.ts";

const DOCKER = "adapters/runtime/docker/index.ts";

/** Each of these sources breaks one rule, and the rule must say so. */
const FORBIDDEN: readonly [file: string, source: string, because: string][] = [
  ["engine/decide.ts", `import { createReadStream } from "node:fs";`, "engine never imports node:fs"],
  ["engine/decide.ts", `import Docker from "dockerode";`, "engine never imports dockerode"],
  ["engine/decide.ts", `import type Docker from "dockerode";`, "engine never imports dockerode"],
  [
    "engine/operations/submit.ts",
    `import { x } from "../../adapters/table/sqlite/index.ts";`,
    "never imports adapters",
  ],
  ["engine/operations/submit.ts", `const { x } = await import("../../local/home.ts");`, "engine never imports local"],
  [DOCKER, `import { x } from "../process/index.ts";`, "never imports a sibling"],
  [DOCKER, `import type { X } from "../process/spec.ts";`, "never imports a sibling"],
  [DOCKER, `export { x } from "../../table/sqlite/index.ts";`, "never imports a sibling"],
  [DOCKER, `export * from "../../../functions/submit.ts";`, "adapters never imports functions"],
  [DOCKER, `type X = import("../../../local/home.ts").X;`, "adapters never imports local"],
  ["functions/submit.ts", `import { x } from "../local/home.ts";`, "functions never imports local"],
  ["functions/submit.ts", `import { x } from "../cli/main.ts";`, "functions never imports cli"],
  ["functions/submit.ts", `import { S3 } from "@aws-sdk/client-s3";`, "@aws-sdk/client-s3 is for adapters only"],
  ["local/home.ts", `import { run } from "../cli/run.ts";`, "local never imports cli"],
  ["local/home.ts", `import { Stack } from "aws-cdk-lib";`, "aws-cdk-lib is for infra only"],
  ["local/home.ts", `import { Table } from "aws-cdk-lib/aws-dynamodb";`, "aws-cdk-lib is for infra only"],
  ["cli/run.ts", `import { startHome } from "../local/home.ts";`, "by dynamic or type import only"],
  ["cli/run.ts", `import { isTerminal } from "../engine/states.ts";`, "cli imports engine by type import only"],
  ["cli/run.ts", `import { x } from "../functions/submit.ts";`, "cli never imports functions"],
  ["sdk/client.ts", `import { isTerminal } from "../engine/states.ts";`, "sdk imports engine by type import only"],
  ["sdk/client.ts", `import { type JobId } from "../engine/ids.ts";`, "sdk imports engine by type import only"],
  ["sdk/client.ts", `await import("../engine/ids.ts");`, "sdk imports engine by type import only"],
  ["infra/app.ts", `import { handler } from "../functions/submit.ts";`, "infra never imports functions"],
  ["infra/app.ts", `import { S3 } from "@aws-sdk/client-s3";`, "@aws-sdk/client-s3 is for adapters only"],
  ["local/home.ts", `import { x } from "../test/lab/docker.ts";`, "local never imports test"],
  ["adapters/bus/memory.ts", `import { x } from "./eventbridge.ts";`, "never imports a sibling"],
  [
    "adapters/aws/client.ts",
    `import { x } from "../bus/eventbridge/spec.ts";`,
    "what adapters share never imports one",
  ],
  ["adapters/bus/eventbridge/index.ts", `import { x } from "../../awsome/x.ts";`, "never imports a sibling"],
  ["adapters/bus/memory/index.ts", `import "../../../bench/main.ts";`, "adapters never imports bench"],
  ["vitest.config.ts", `import { x } from "./test/lab/docker.ts";`, ". never imports test"],
  ["cli/run.ts", `const name = "x"; await import(name);`, "computed import"],
  ["local/home.ts", `import "../../elsewhere/x.ts";`, "out of the repository"],
  ["stray/a.ts", `import "node:fs";`, "no rule says what stray/ may import"],
];

const ALLOWED: readonly [file: string, source: string][] = [
  ["engine/spec/hash.ts", `import { createHash } from "node:crypto"; import canonicalize from "canonicalize";`],
  ["engine/operations/submit.ts", `import { mintJobId } from "../ids.ts"; import * as z from "zod/v4";`],
  [
    DOCKER,
    `import Docker from "dockerode"; import { x } from "./spec.ts"; import type { J } from "../../../engine/ids.ts";`,
  ],
  ["adapters/table/dynamodb/index.ts", `import { x } from "../../aws/client.ts";`],
  ["adapters/aws/errors.ts", `import { x } from "./client.ts"; import { y } from "../../engine/errors.ts";`],
  ["adapters/table/dynamodb/index.ts", `import { X } from "@aws-sdk/client-dynamodb";`],
  ["adapters/bus/memory.ts", `import { x } from "./memory/cursor.ts";`],
  ["adapters/runtime/process/supervisor/main.ts", `import { x } from "../spec.ts";`],
  [
    "local/home.ts",
    `import { makeHandler } from "../functions/submit.ts"; import { x } from "../adapters/bus/memory/index.ts";`,
  ],
  ["cli/run.ts", `const { startHome } = await import("../local/home.ts"); import { x } from "../sdk/client.ts";`],
  ["cli/run.ts", `import type { Home } from "../local/home.ts"; import type { Status } from "../engine/states.ts";`],
  [
    "sdk/client.ts",
    `import type { JobId } from "../engine/ids.ts"; export type { Status } from "../engine/states.ts";`,
  ],
  ["infra/app.ts", `import { App } from "aws-cdk-lib"; import { Construct } from "constructs";`],
  ["bench/main.ts", `import { x } from "../test/lab/docker.ts";`],
  ["test/infra/stack.test.ts", `import { App } from "aws-cdk-lib"; import { x } from "../../infra/app.ts";`],
];

describe("the direction of imports", () => {
  it.each(FORBIDDEN)("%s refuses %s", (file, source, because) => {
    expect(violations(file, source)).toEqual([expect.stringContaining(because)]);
  });

  it.each(ALLOWED)("%s lets through %s", (file, source) => {
    expect(violations(file, source)).toEqual([]);
  });

  it("does not pass over a source that it cannot read", () => {
    expect(() => violations("engine/a.ts", `import { from "x`)).toThrow(/engine\/a\.ts/);
  });
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { createSqliteTable } from "../../../adapters/table/sqlite/index.ts";
import { tableContract } from "../../contracts/table.ts";

let directory: string;
let made = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-table-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

tableContract("sqlite", async () => {
  made += 1;
  return createSqliteTable({ file: join(directory, `${made}.db`) });
});

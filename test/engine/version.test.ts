import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { VERSION } from "../../engine/version.ts";
import { ROOT } from "../toolchain/sources.ts";

test("what a home says of its version is what the package is published as", async () => {
  const { version } = JSON.parse(await readFile(`${ROOT}/package.json`, "utf8")) as { version: string };
  expect(VERSION).toBe(version);
});

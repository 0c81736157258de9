import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ContractServer, startContractServer } from "./contract-server.ts";

let server: ContractServer;
beforeEach(async () => {
  server = await startContractServer();
});
afterEach(async () => {
  await server.close();
});

/** The packages of AWS that a program has loaded after one call of the client. */
async function loadedBy(auth: object | "auto"): Promise<string[]> {
  const program = `
    import { Module } from "node:module";
    const { createClient } = await import(${JSON.stringify(join(import.meta.dirname, "../../sdk/index.ts"))});
    await createClient({ endpoint: ${JSON.stringify(server.url)}, auth: ${JSON.stringify(auth)} }).health();
    const files = Object.keys(Module._cache);
    const names = files.map((file) => /node_modules\\/(@(?:aws-sdk|smithy)\\/[^/]+)/.exec(file)?.[1]);
    console.log(JSON.stringify([...new Set(names.filter((name) => name !== undefined))]));
  `;
  const { stdout } = await execa(process.execPath, ["--input-type=module", "--eval", program], {
    env: { PATH: process.env.PATH },
    extendEnv: false,
  });
  return JSON.parse(stdout) as string[];
}

it("a client that signs nothing loads nothing of AWS's, one that does loads what it signs with", async () => {
  expect(await loadedBy("auto")).toEqual([]);
  const credentials = { accessKeyId: "AKIA", secretAccessKey: "s" };
  expect(await loadedBy({ region: "us-east-1", credentials })).toContain("@smithy/signature-v4");
});

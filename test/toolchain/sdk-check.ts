import { execa } from "execa";
import { differencesInCalls } from "../sdk/document/check-calls.ts";
import { ROOT } from "./sources.ts";

// npm run sdk:check   fails when the client and the description of the API differ, with a line for each difference:
// in their types, which the compiler compares, or in the calls that the client makes.

const found = await differencesInCalls();
for (const difference of found) console.error(difference);
const types = await execa("tsc", ["--noEmit", "--project", "test/sdk/document/tsconfig.json"], {
  cwd: ROOT,
  preferLocal: true,
  reject: false,
  stdio: "inherit",
});
if (found.length > 0 || types.failed) process.exitCode = 1;
else console.log("the client is as the API is described");

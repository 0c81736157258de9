import { violations } from "./import-rules.ts";
import { repositoryFiles } from "./sources.ts";

const files = await repositoryFiles();
const found = [...files].filter(([path]) => path.endsWith(".ts")).flatMap(([path, text]) => violations(path, text));
for (const violation of found) console.error(violation);
if (found.length > 0) process.exitCode = 1;

import { createSqliteTable } from "../../../adapters/table/sqlite/index.ts";

// Commits for ever and prints each commit once it is acknowledged, until it is killed.
const [file = ""] = process.argv.slice(2);
const table = createSqliteTable({ file });

async function commitForEver(worker: number): Promise<never> {
  for (let n = 0; ; n += 1) {
    const pk = `${worker}-${n}`;
    await table.commit([
      { kind: "put", item: { pk, sk: "JOB", n }, guard: { exists: false } },
      { kind: "put", item: { pk, sk: "EVENT#1", n }, guard: { exists: false } },
    ]);
    process.stdout.write(`${pk}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(commitForEver));

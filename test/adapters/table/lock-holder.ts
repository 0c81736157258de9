import { acquireHomeLock } from "../../../adapters/table/sqlite/lock.ts";

// Takes the lock, says so, and holds it until it is killed.
const [file = ""] = process.argv.slice(2);
try {
  acquireHomeLock(file);
  process.stdout.write("held\n");
} catch (error) {
  process.stdout.write(`${error instanceof Error && "code" in error ? error.code : error}\n`);
  process.exit(1);
}
process.stdin.resume();

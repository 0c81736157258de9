import { createFilesystemObjects } from "../../../adapters/objects/filesystem.ts";

// Writes half an object, says so, and never ends.
const [directory = ""] = process.argv.slice(2);
const keepAlive = setInterval(() => undefined, 60_000);

async function* half(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("half of it");
  process.stdout.write("half\n");
  await new Promise<never>(() => undefined);
}

await createFilesystemObjects({ directory }).put("a/b", half());
clearInterval(keepAlive);

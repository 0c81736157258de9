import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { crashes, KILLS_A_PROCESS, waitingOut } from "./crash.ts";
import { onlyOn } from "./homes.ts";
import { processesOf } from "./leftovers.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "./local-home.ts";
import { processJob } from "./runtimes.ts";

let home: LocalHome;
let places: Awaited<ReturnType<typeof temporaryFolder>>;
const shared = () => join(places.path, "shared");

beforeAll(async () => {
  places = await temporaryFolder();
  await mkdir(shared());
  home = await startLocalHome({ env: { LONGSHORE_ALLOWED_MOUNTS: shared(), LONGSHORE_RECONCILE_SECONDS: "1" } });
});
afterAll(async () => {
  await home.dispose();
  await places.remove();
});

onlyOn("local", KILLS_A_PROCESS, () => {
  crashes(() => home, {
    name: "process",
    folder: shared,
    place: shared,
    job: processJob,
    left: (jobId) => processesOf({ jobId }),
  });
  waitingOut(() => home);
});

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { crashes, KILLS_A_PROCESS } from "./crash.ts";
import { oneHome } from "./homes.ts";
import { containersOf } from "./leftovers.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "./local-home.ts";
import { dockerJob } from "./runtimes.ts";

const title = "a local home with Docker";

describeWith("docker", { title, meta: oneHome("local", KILLS_A_PROCESS) }, () => {
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

  crashes(() => home, {
    name: "docker",
    folder: shared,
    place: () => "/shared",
    job: (script, more) => dockerJob(script, { volumes: [{ source: shared(), target: "/shared" }], ...more }),
    left: containersOf,
  });
});

import { afterAll, beforeAll, describe } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { logsAreKept } from "./kept-logs.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { dockerJob, processJob } from "./runtimes.ts";

let home: LocalHome;
beforeAll(async () => {
  home = await startLocalHome();
});
afterAll(() => home.dispose());

describe("the log of a plain process that has ended", () => logsAreKept(() => home, processJob));
describeWith("docker", "the log of a container that was removed", () => logsAreKept(() => home, dockerJob));

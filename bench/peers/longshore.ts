import { Agent } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { post } from "../load.ts";
import { startHome } from "../server.ts";
import type { Peer } from "./peer.ts";
import { CLIENTS } from "./round.ts";

const SPEC = { runtime: "stub", command: ["true"] };

/** Jobs that have not ended; a job that is in no work list has, and was cleaned up as well. */
const LEFT = `SELECT count(*) AS "left" FROM items
  WHERE i2pk IS NOT NULL AND json_extract(body, '$.status') IN ('PENDING', 'RUNNING', 'RETRYING')`;

/** Longshore's home in its own process, over HTTP on kept-alive connections. */
export const longshore: Peer = {
  name: "Longshore",
  keeps: "the job, its redacted and its sealed spec, its attempt, every event of its life",
  tunings: [{ concurrent: 64 }, { concurrent: 256 }, { concurrent: 1024 }],
  async start({ concurrent }) {
    const settings = { LONGSHORE_MAX_QUEUED: "1000000", LONGSHORE_MAX_CONCURRENT: `stub=${concurrent}` };
    const home = await startHome({ ...settings, LONGSHORE_RUNTIMES: "stub" });
    const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
    // Like the counts of the others it comes from the store, where only what is synced can be seen from outside.
    const ledger = new DatabaseSync(join(home.directory, "ledger.db"), { readOnly: true, timeout: 5_000 });
    const left = ledger.prepare(LEFT);
    return {
      async submit() {
        await post(agent, `${home.url}/api/v1/jobs`, SPEC);
      },
      async left() {
        return Number(left.get()?.left);
      },
      async [Symbol.asyncDispose]() {
        agent.destroy();
        ledger.close();
        await home[Symbol.asyncDispose]();
      },
    };
  },
};

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../sdk/client.ts";
import type { Job, LogLine } from "../../sdk/types.ts";
import { createRandom } from "../chaos/random.ts";
import { describeWith } from "../lab/counterparts.ts";
import { openCuttingProxy } from "../lab/cutting-proxy.ts";
import { cleanedUp, submit, type Target } from "./client.ts";
import type { Spec } from "./contract.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { dockerJob, processJob } from "./runtimes.ts";

let home: LocalHome;
const target: Target = { api: () => home.api() };

beforeAll(async () => {
  home = await startLocalHome();
});
afterAll(async () => {
  await home.dispose();
});

const CUTS = 100;
const TRANSPORTS = ["sse", "websocket"] as const;
const texts = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1} häß 🚢`);
/** Writes so many lines in bursts of a hundred. */
const talk = (count: number) =>
  `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i häß 🚢"; [ $((i % 100)) = 0 ] && sleep 0.02; done; exit 0`;

/** A follower whose way to the home is cut over and over. */
async function followCut(jobId: string, options: { by: (typeof TRANSPORTS)[number]; seed: number; maxBytes: number }) {
  const { by, seed, maxBytes } = options;
  const proxy = await openCuttingProxy(new URL(home.api()), { cuts: CUTS, maxBytes, random: createRandom(seed) });
  try {
    const { jobs } = createClient({ endpoint: proxy.url });
    const lines: LogLine[] = [];
    let end: Job | undefined;
    let reconnects = 0;
    const following = {
      transport: by,
      backoffMs: () => 0,
      maxFailures: CUTS + 20,
      onReconnect: () => {
        reconnects += 1;
      },
      onEnd: (job: Job) => {
        end = job;
      },
    };
    for await (const line of jobs.followLogs(jobId, following)) lines.push(line);
    return { lines, end, reconnects, cuts: proxy.cuts() };
  } finally {
    await proxy.close();
  }
}

function followers(name: string, job: (script: string, more?: Spec) => Spec, count: number): void {
  it(`a log on ${name} comes whole to followers who are cut ${CUTS} times at random, by either transport`, async () => {
    const { jobId } = await submit(target, job(talk(count)));
    const seeds = TRANSPORTS.map(() => Math.floor(Math.random() * 2 ** 31));
    const followed = await Promise.all(
      // A line takes more than a hundred bytes: there are enough of them for all cuts.
      TRANSPORTS.map((by, index) => followCut(jobId, { by, seed: seeds[index] ?? 0, maxBytes: count * 1.6 })),
    );
    await cleanedUp(target, jobId);
    const stored = await Array.fromAsync(createClient({ endpoint: home.api() }).jobs.logs(jobId));
    for (const [index, { lines, end, reconnects, cuts }] of followed.entries()) {
      const which = `${TRANSPORTS[index]}, seed ${seeds[index]}`;
      expect(
        lines.map(({ seq }) => seq),
        which,
      ).toEqual(Array.from({ length: count }, (_, at) => at + 1));
      expect(
        lines.map(({ text }) => text),
        which,
      ).toEqual(texts(count));
      expect(lines, which).toEqual(stored);
      expect(end, which).toMatchObject({ jobId, status: "SUCCEEDED" });
      // A cut right behind the last message is none to the follower.
      expect([cuts, reconnects >= CUTS - 1], which).toEqual([CUTS, true]);
    }
  });
}

describe("followers of a log on a local home", () => {
  followers("process", processJob, 4000);

  it("of every pace and from every moment get all of it", async () => {
    const count = 3000;
    const { jobId } = await submit(target, processJob(talk(count)));
    const { jobs } = createClient({ endpoint: home.api() });
    const follow = async (options: { transport: (typeof TRANSPORTS)[number]; everyMs?: number; lateMs?: number }) => {
      await delay(options.lateMs ?? 0);
      const seqs: number[] = [];
      for await (const { seq } of jobs.followLogs(jobId, { transport: options.transport })) {
        seqs.push(seq);
        if (options.everyMs !== undefined && seqs.length % 300 === 0) await delay(options.everyMs);
      }
      return seqs;
    };
    const all = await Promise.all([
      ...Array.from({ length: 24 }, (_, index) => follow({ transport: TRANSPORTS[index % 2] ?? "sse" })),
      ...TRANSPORTS.map((transport) => follow({ transport, everyMs: 80 })),
      ...TRANSPORTS.map((transport) => follow({ transport, lateMs: 300 })),
    ]);
    for (const seqs of all) expect(seqs).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    await cleanedUp(target, jobId);
  });
});

describeWith("docker", "followers of a log on a local home with Docker", () => {
  followers("docker", dockerJob, 3000);
});

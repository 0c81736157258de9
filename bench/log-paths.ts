import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { createFilesystemObjects } from "../adapters/objects/filesystem.ts";
import { createDockerRuntime } from "../adapters/runtime/docker/index.ts";
import type { EngineContext } from "../engine/context.ts";
import { mintHomeId, mintJobId } from "../engine/ids.ts";
import type { AttemptRecord, JobRecord } from "../engine/ledger/records.ts";
import { LABELS } from "../engine/naming.ts";
import { collectLogs } from "../engine/operations/collect.ts";
import { readLogs } from "../engine/operations/read-logs.ts";
import type { Key } from "../engine/ports/table.ts";
import { writeLines } from "./log-writer.ts";
import { median, pairedRatio, printFigure } from "./stats.ts";

const SECRETS = 50;
const BUDGET_BYTES = 1024 ** 3;

/**
 * How fast a log goes from the engine to the store, with and without values to mask, and from the store to a reader, next
 * to the engine's own stream of the same log that nobody looks at. In turn, all of them in each round.
 */
export async function benchLogPaths(
  image: string,
  { lines, rounds }: { lines: number; rounds: number },
): Promise<void> {
  const docker = new Docker();
  const homeId = mintHomeId(Date.now());
  await using rest = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-logs-"));
  rest.defer(() => rm(directory, { recursive: true, force: true }));
  const runtime = createDockerRuntime({ homeId, allowedMounts: [] });
  rest.defer(() => runtime.dispose());
  const container = await docker.createContainer({
    Image: image,
    Labels: { [LABELS.home]: homeId },
    NetworkDisabled: true,
    Cmd: writeLines(lines),
  });
  rest.defer(() => container.remove({ force: true }));
  await container.start();
  await container.wait();

  const objects = createFilesystemObjects({ directory });
  const secrets = Array.from({ length: SECRETS }, () => randomBytes(18).toString("base64"));
  /** The ports that a log passes, and no others: the ledger holds the values to mask and nothing else. */
  const contextOf = (values: readonly string[], attempts: readonly AttemptRecord[] = []): EngineContext => {
    const table = {
      get: async ({ sk }: Key) => {
        if (sk === "JOB") return { pk: "", sk };
        return values.length === 0 ? undefined : { pk: "", sk, data: "c2VhbGVk" };
      },
      query: async () => ({ items: attempts, cursor: undefined }),
    };
    const sealer = { open: async () => Buffer.from(JSON.stringify(values)) };
    const runtimes = { get: () => runtime, all: () => [runtime], offered: () => [runtime] };
    return { ledger: { table }, sealer, runtimes, objects, logger: console } as unknown as EngineContext;
  };
  const attemptOf = (logLines: number | null) =>
    ({ attempt: 1, externalRef: container.id, logBase: 0, logLines, startedAt: null }) as AttemptRecord;
  const timed = async (run: () => Promise<number>): Promise<number> => {
    const begun = performance.now();
    const seen = await run();
    const ms = performance.now() - begun;
    if (seen !== lines + 1) throw new Error(`${seen} lines were seen of ${lines + 1}`);
    return ms;
  };
  const collect = async (values: readonly string[]): Promise<{ ms: number; job: JobRecord }> => {
    const job = { jobId: mintJobId(Date.now()), runtime: "docker" } as JobRecord;
    const context = contextOf(values);
    const collected = async () => (await collectLogs(context, { job, attempt: attemptOf(null) }, BUDGET_BYTES)).lines;
    return { ms: await timed(collected), job };
  };
  const readBack = async (job: JobRecord): Promise<number> =>
    await timed(async () => {
      let seen = 0;
      for await (const batch of readLogs(contextOf([], [attemptOf(lines + 1)]), job)) seen += batch.length;
      return seen;
    });

  const times = { raw: [] as number[], plain: [] as number[], masked: [] as number[], back: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const raw = await drain(docker, container.id);
    const plain = await collect([]);
    const masked = await collect(secrets);
    const back = await readBack(masked.job);
    for (const { job } of [plain, masked])
      for await (const { key } of objects.list(`logs/${job.jobId}/`)) await objects.delete(key);
    if (round < 0) continue;
    times.raw.push(raw);
    times.plain.push(plain.ms);
    times.masked.push(masked.ms);
    times.back.push(back);
  }
  const against = "the engine's stream of the same log, drained without a look at it";
  const details = { lines, rounds, rawMs: median(times.raw), run: randomUUID().slice(0, 8) };
  for (const [figure, ms] of [
    ["speed of a log from the engine to the store, masked", times.masked],
    ["speed of a log from the store to its reader", times.back],
  ] as const) {
    printFigure({ figure, ratio: pairedRatio(times.raw, ms), against, ms: median(ms), ...details });
  }
  printFigure({
    figure: `speed of a log from the engine to the store with ${SECRETS} values to mask`,
    ratio: pairedRatio(times.plain, times.masked),
    against: "the same with none",
    ms: median(times.masked),
    plainMs: median(times.plain),
    lines,
    rounds,
  });
}

/** Milliseconds until the engine has sent all of a container's log. */
async function drain(docker: Docker, id: string): Promise<number> {
  const begun = performance.now();
  const options = { stdout: true, stderr: true, follow: true } as const;
  const stream = (await docker.getContainer(id).logs(options)) as unknown as IncomingMessage;
  stream.resume();
  await new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
  return performance.now() - begun;
}

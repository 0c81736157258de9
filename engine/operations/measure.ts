import { circuitState } from "../circuit.ts";
import type { EngineContext } from "../context.ts";
import { readCircuit } from "../ledger/circuit.ts";
import { queueKey } from "../ledger/keys.ts";
import { readLanes } from "../ledger/lanes.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { slotsInUse } from "../ledger/read.ts";
import type { Sample } from "../metrics.ts";
import { oldestWaitingSeconds } from "./oldest-waiting.ts";

const CIRCUIT_STATES = ["closed", "open", "half-open"] as const;

/** Jobs that count against the queue's bound: one small read a shard. */
export async function queueLength({ table, limits }: Ledger): Promise<number> {
  const shards = Array.from({ length: limits.shards }, (_, shard) => table.get(queueKey(shard)));
  return (await Promise.all(shards)).reduce((sum, item) => sum + Number(item?.count ?? 0), 0);
}

/**
 * How the home stands by its ledger: queue, lanes, slots and circuits, in a number of small reads that does not grow with
 * the jobs.
 */
export async function measureLedger({
  ledger,
  runtimes,
  clock,
}: Pick<EngineContext, "ledger" | "runtimes" | "clock">): Promise<Sample[]> {
  const names = runtimes.all().map(({ name }) => name);
  const ofHome: Sample[] = [
    { name: "longshore_queue_jobs", labels: {}, value: await queueLength(ledger) },
    { name: "longshore_queue_limit", labels: {}, value: ledger.limits.maxQueued },
    { name: "longshore_queue_oldest_seconds", labels: {}, value: await oldestWaitingSeconds(ledger, names) },
  ];
  const ofRuntimes = await Promise.all(names.map((runtime) => measureRuntime({ ledger, clock }, runtime)));
  return [...ofHome, ...ofRuntimes.flat()];
}

async function measureRuntime(
  { ledger, clock }: Pick<EngineContext, "ledger" | "clock">,
  runtime: string,
): Promise<Sample[]> {
  const state = circuitState(await readCircuit(ledger, runtime), clock());
  const lanes = await readLanes(ledger, runtime);
  return [
    { name: "longshore_slots_in_use", labels: { runtime }, value: await slotsInUse(ledger, runtime) },
    { name: "longshore_slots_limit", labels: { runtime }, value: ledger.limits.maxConcurrent(runtime) },
    ...CIRCUIT_STATES.map((one): Sample => {
      return { name: "longshore_circuit_state", labels: { runtime, state: one }, value: Number(one === state) };
    }),
    ...lanes.flatMap(({ lane, waiting, running }): Sample[] => [
      { name: "longshore_lane_waiting_jobs", labels: { runtime, lane }, value: waiting },
      { name: "longshore_lane_running_jobs", labels: { runtime, lane }, value: running },
    ]),
  ];
}

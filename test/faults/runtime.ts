import { DescribeTasksCommand, ListTasksCommand } from "@aws-sdk/client-ecs";
import { createStubRuntime } from "../../adapters/runtime/stub/index.ts";
import type { Clock } from "../../engine/ports/clock.ts";
import type { Owned, RuntimeAdapter } from "../../engine/ports/runtime.ts";
import type { EcsHarness } from "../adapters/runtime/ecs/harness.ts";
import { strikable } from "./calls.ts";

/** A runtime that outlives every function, and knows what it was made to start. */
export interface WatchedRuntime {
  name: string;
  /** The adapter of one process, and how that process lets go of it. */
  open(): { adapter: RuntimeAdapter; close(): Promise<void> };
  /** Everything on it. */
  all(): Promise<Owned[]>;
  /** Of each attempt of a job, how often its command was started, in order. */
  starts(jobId: string): Promise<number[]>;
  /** All that is left of anything. */
  leftovers(): Promise<string[]>;
  /** Whether its commands end by themselves, in the machine's own time. */
  inRealTime: boolean;
}

/** Runs nothing, and ends what it runs when it is told to. */
export function stubRuntime(homeId: string, clock: Clock): WatchedRuntime {
  const stub = createStubRuntime({ homeId, clock });
  const starts = new Map<number, number>();
  const adapter: RuntimeAdapter = {
    ...stub,
    async submit(launch, signal) {
      const known = await stub.find(launch.externalName);
      const ref = await stub.submit(launch, signal);
      if (known === undefined) starts.set(launch.attempt, (starts.get(launch.attempt) ?? 0) + 1);
      return ref;
    },
  };
  const all = () => Array.fromAsync(stub.list());
  return {
    name: stub.name,
    open: () => ({ adapter, close: async () => undefined }),
    all,
    starts: async () => [...starts].sort(([a], [b]) => a - b).map(([, count]) => count),
    leftovers: async () => (await all()).map(({ externalName }) => externalName),
    inRealTime: false,
  };
}

/** moto's ECS, whose tasks are processes of this machine. Each function has an adapter that remembers nothing. */
export function ecsRuntime(
  harness: EcsHarness,
  { homeId, cluster }: { homeId: string; cluster: string },
  clock: Clock,
) {
  const own = harness.make(homeId, { clock }).adapter;
  const tasks = async (desiredStatus: "RUNNING" | "STOPPED") => {
    const arns: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await harness.ecs.send(new ListTasksCommand({ cluster, desiredStatus, nextToken }));
      arns.push(...(page.taskArns ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return arns;
  };
  const runtime: WatchedRuntime = {
    name: own.name,
    open() {
      const { adapter, client } = harness.make(homeId, { clock });
      strikable(client);
      const close = async () => {
        await adapter.dispose();
        client.destroy();
      };
      return { adapter, close };
    },
    all: () => Array.fromAsync(own.list()),
    async starts(jobId) {
      const counts = new Map<string, number>();
      const arns = [...(await tasks("RUNNING")), ...(await tasks("STOPPED"))];
      for (let at = 0; at < arns.length; at += 100) {
        const command = new DescribeTasksCommand({ cluster, tasks: arns.slice(at, at + 100) });
        for (const { group = "" } of (await harness.ecs.send(command)).tasks ?? [])
          if (group.includes(jobId)) counts.set(group, (counts.get(group) ?? 0) + 1);
      }
      return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
    },
    leftovers: () => harness.leftovers(homeId),
    inRealTime: true,
  };
  return runtime;
}

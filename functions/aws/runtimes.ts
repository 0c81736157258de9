import type { Runtimes } from "../../engine/context.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { RuntimeAdapter } from "../../engine/ports/runtime.ts";
import type { RuntimeEventReader } from "../runtime-events.ts";
import { ecsOptions } from "./ecs.ts";
import { lazyRuntime } from "./lazy-runtime.ts";
import type { AwsRuntimeName, AwsSettings } from "./settings.ts";

/** Whose runtimes they are, and whether whoever stops an attempt waits for its end where events would tell of it. */
interface Home {
  homeId: string;
  awaitsStops: boolean;
}

/** A runtime that a deployed home can offer. */
interface Offer {
  /** Whether its ends are told by events of AWS: then no process has to wait for them. */
  pushes: boolean;
  /** Loads the adapter, and with it its SDK, only where the operator named it. */
  create(settings: AwsSettings, home: Home): Promise<RuntimeAdapter>;
  /** What its events say, by their source; only of a runtime that pushes. */
  readers?(settings: AwsSettings, homeId: string): Record<string, RuntimeEventReader>;
}

const OFFERS: Record<AwsRuntimeName, Offer> = {
  ecs: {
    pushes: true,
    async create(settings, { homeId, awaitsStops }) {
      const { aboutEcs } = await import("../../adapters/runtime/ecs/features.ts");
      const most = maxConcurrent(settings, "ecs");
      const options = { ...ecsOptions(settings, homeId), maxConcurrent: most, awaitsStops };
      return lazyRuntime(aboutEcs(options), async () => {
        const { createEcsRuntime } = await import("../../adapters/runtime/ecs/index.ts");
        return createEcsRuntime(options);
      });
    },
    readers: (settings, homeId) => ({
      async "aws.ecs"(event) {
        const { newsOf } = await import("../../adapters/runtime/ecs/events.ts");
        return newsOf(event, ecsOptions(settings, homeId));
      },
    }),
  },
  // For an engine that the functions can reach, such as one on an instance of EC2.
  docker: {
    pushes: false,
    async create(settings, { homeId }) {
      const { createDockerRuntime } = await import("../../adapters/runtime/docker/index.ts");
      return createDockerRuntime({
        homeId,
        allowedMounts: [],
        sockets: [],
        maxConcurrent: maxConcurrent(settings, "docker"),
        ...(settings.DOCKER_HOST === undefined ? {} : { dockerHost: settings.DOCKER_HOST }),
      });
    },
  },
  stub: {
    pushes: false,
    async create(settings, { homeId }) {
      const { createStubRuntime } = await import("../../adapters/runtime/stub/index.ts");
      return createStubRuntime({ homeId, maxConcurrent: maxConcurrent(settings, "stub") });
    },
  },
};

const MAX_CONCURRENT: Record<AwsRuntimeName, number> = { ecs: 100, docker: 64, stub: 256 };

/** Jobs at once on a runtime: what the operator says, else its default; 1 for a runtime that is not known. */
export function maxConcurrent({ LONGSHORE_MAX_CONCURRENT: said }: AwsSettings, name: string): number {
  const known = name as AwsRuntimeName;
  return said[known] ?? MAX_CONCURRENT[known] ?? 1;
}

/** The runtimes that the operator named, in that order; all are offered, whether they answer at the moment or not. */
export async function createRuntimes(settings: AwsSettings, home: Home): Promise<Runtimes> {
  const names = settings.LONGSHORE_RUNTIMES;
  const runtimes = await Promise.all(names.map((name) => OFFERS[name].create(settings, home)));
  return {
    all: () => runtimes,
    offered: () => runtimes,
    get(name) {
      const runtime = runtimes.find((one) => one.name === name);
      if (runtime !== undefined) return runtime;
      throw new LongshoreError("RUNTIME_UNAVAILABLE", `this home has no runtime ${name}`);
    },
  };
}

/** Whether the end of an attempt on a runtime is told by events of AWS. */
export function pushesEnds(name: string): boolean {
  return OFFERS[name as AwsRuntimeName]?.pushes ?? false;
}

/** The readers of the events of the runtimes that the operator named, by the events' source. */
export function eventReaders(settings: AwsSettings, homeId: string): ReadonlyMap<string, RuntimeEventReader> {
  const readers = settings.LONGSHORE_RUNTIMES.map((name) => OFFERS[name].readers?.(settings, homeId) ?? {});
  return new Map(readers.flatMap((ofOne) => Object.entries(ofOne)));
}

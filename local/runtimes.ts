import { join } from "node:path";
import { createDockerRuntime, usualSockets } from "../adapters/runtime/docker/index.ts";
import { createProcessRuntime } from "../adapters/runtime/process/index.ts";
import { createStubRuntime } from "../adapters/runtime/stub/index.ts";
import type { Runtimes } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import type { RuntimeAdapter } from "../engine/ports/runtime.ts";
import { LOCAL_RUNTIMES, type Settings } from "./settings.ts";

export interface LocalRuntimes extends Runtimes {
  /** Asks those that never answered whether they do now; one that has answered stays offered. */
  refresh(): Promise<void>;
  dispose(): Promise<void>;
}

type Factory = (settings: Settings, homeId: string) => RuntimeAdapter;

const FACTORIES: Record<(typeof LOCAL_RUNTIMES)[number], Factory> = {
  docker: (settings, homeId) =>
    createDockerRuntime({
      homeId,
      allowedMounts: settings.allowedMounts,
      maxConcurrent: settings.maxConcurrent.docker ?? 64,
      sockets: usualSockets({ home: settings.environment.HOME, xdgRuntimeDir: settings.environment.XDG_RUNTIME_DIR }),
      ...(settings.dockerHost === null ? {} : { dockerHost: settings.dockerHost }),
    }),
  process: (settings, homeId) =>
    createProcessRuntime({
      homeId,
      directory: join(settings.home, "attempts"),
      maxConcurrent: settings.maxConcurrent.process ?? 8,
      ...(settings.environment.PATH === undefined ? {} : { path: settings.environment.PATH }),
    }),
  stub: (settings, homeId) => createStubRuntime({ homeId, maxConcurrent: settings.maxConcurrent.stub ?? 256 }),
};

/** The runtimes that the operator named, or all; each is offered to routing once it has answered. */
export function createRuntimes(settings: Settings, homeId: string): LocalRuntimes {
  const names = (settings.runtimes ?? LOCAL_RUNTIMES) as (keyof typeof FACTORIES)[];
  const runtimes = names.map((name) => FACTORIES[name](settings, homeId));
  // What the operator named on purpose is offered whether it answers yet or not.
  const answered = new Set(settings.runtimes ?? []);
  return {
    all: () => runtimes,
    offered: () => runtimes.filter(({ name }) => answered.has(name)),
    get(name) {
      const runtime = runtimes.find((one) => one.name === name);
      if (runtime !== undefined) return runtime;
      throw new LongshoreError("RUNTIME_UNAVAILABLE", `this home has no runtime ${name}`);
    },
    async refresh() {
      const silent = runtimes.filter(({ name }) => !answered.has(name));
      await Promise.all(silent.map(async (one) => (await one.health()).ok && answered.add(one.name)));
    },
    async dispose() {
      await Promise.all(runtimes.map((one) => one.dispose()));
    },
  };
}

import { SHUTDOWN } from "../../engine/abort.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { Objects } from "../../engine/ports/objects.ts";
import type { Orchestrator } from "../../engine/ports/orchestrator.ts";
import type { Launch, RuntimeAdapter } from "../../engine/ports/runtime.ts";
import type { Sealer } from "../../engine/ports/sealer.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";
import type { Table } from "../../engine/ports/table.ts";
import type { MemoryTable } from "../lab/memory-table.ts";
import type { Ports, Process } from "./ports.ts";
import type { Place } from "./runtime.ts";
import type { Sim } from "./sim.ts";
import type { StateMachine } from "./state-machine.ts";

export interface Outside {
  sim: Sim;
  ports: Ports;
  table: MemoryTable;
  objects: Objects;
  sealer: Sealer;
  places: readonly Place[];
  machine: StateMachine;
  /** What a process asked a service for may arrive there after its death. */
  outlives: boolean;
}

/** The ports as one process of Longshore sees them: every call is a thing that happens, late, twice, or not at all. */
export interface PortsOfProcess {
  table: Table;
  objects: Objects;
  sealer: Sealer;
  secrets: ReadonlyMap<string, SecretSource>;
  orchestrator: Orchestrator;
  runtimes: RuntimeAdapter[];
  /** A call to the bus. */
  publish<T>(effect: () => T): Promise<T>;
}

/** How often a resource that was made and not started stays when a launch fails. */
const HALF_MADE = 0.5;
/** Of a launch, when what it makes is taken away before it is started. */
const TRIES = 4;

export function portsOf(outside: Outside, process: Process): PortsOfProcess {
  const { ports, table, objects, sealer, machine, outlives } = outside;
  const others = <T>(name: () => string, effect: () => T | Promise<T>): Promise<T> =>
    ports.call<T>(process, { port: "others", name, effect });
  return {
    table: {
      get: (key) =>
        ports.call(process, {
          port: "table",
          name: () => `get ${key.pk} ${key.sk}`,
          effect: () => table.get(key),
          mayHang: true,
        }),
      query: (query) =>
        ports.call(process, {
          port: "table",
          name: () => `query ${query.pk}`,
          effect: () => table.query(query),
          mayHang: true,
        }),
      commit: (changes) =>
        ports.call(process, {
          port: "table",
          name: () => `commit ${placesOf(changes)}`,
          effect: () => table.commit(changes),
          outlives,
        }),
      close: async () => undefined,
    },
    objects: {
      put: (key, body) =>
        others(
          () => `put ${key}`,
          () => objects.put(key, body),
        ),
      get: (key, range) =>
        others(
          () => `get ${key}`,
          () => objects.get(key, range),
        ),
      head: (key) =>
        others(
          () => `head ${key}`,
          () => objects.head(key),
        ),
      delete: (key) =>
        others(
          () => `delete ${key}`,
          () => objects.delete(key),
        ),
      list: (prefix) => objects.list(prefix),
    },
    sealer: {
      seal: (plain, context) =>
        others(
          () => "seal",
          () => sealer.seal(plain, context),
        ),
      open: (sealed, context) =>
        others(
          () => "open",
          () => sealer.open(sealed, context),
        ),
      digest: (data, context) =>
        others(
          () => "digest",
          () => sealer.digest(data, context),
        ),
    },
    secrets: new Map([
      [
        "vault",
        {
          scheme: "vault",
          resolve: (name) =>
            others(
              () => "resolve",
              () => secretNamed(name),
            ),
        },
      ],
    ]),
    orchestrator: {
      start: (name, input) =>
        ports.call(process, {
          port: "others",
          name: () => `start ${name}`,
          effect: () => machine.start(name, input),
          outlives,
        }),
      complete: (token) =>
        others(
          () => `complete ${token}`,
          () => machine.complete(token),
        ),
      isRunning: (name) =>
        others(
          () => `isRunning ${name}`,
          () => machine.isRunning(name),
        ),
    },
    runtimes: outside.places.map((place) => runtimeOf(outside, process, place)),
    publish: (effect) => others(() => "publish", effect),
  };
}

function placesOf(changes: Parameters<Table["commit"]>[0]): string {
  return changes
    .map((one) => (one.kind === "put" ? `${one.item.pk} ${one.item.sk}` : `${one.key.pk} ${one.key.sk}`))
    .join(", ");
}

function runtimeOf({ ports, sim }: Outside, process: Process, place: Place): RuntimeAdapter {
  const { adapter } = place;
  const { name } = adapter;
  const call = <T>(what: string, effect: () => T | Promise<T>): Promise<T> =>
    ports.call<T>(process, { port: "runtime", name: () => `${name} ${what}`, effect, mayHang: true });

  /** True when the command was started, by this launch or by another one; false when there is to be another try. */
  async function begin(launch: Launch, signal: AbortSignal): Promise<boolean> {
    const { externalName, jobId, attempt, spec } = launch;
    const resource = { externalName, jobId, attempt, kept: spec.cleanup === "never" };
    const { id, isOurs, isStarted } = await call(`create ${externalName}`, () => {
      // A launch that is let go here may have made something all the same.
      if (!signal.aborted || sim.random.chance(HALF_MADE)) return place.make(resource);
      throw signal.reason;
    });
    const undo = () => call(`remove the unstarted ${externalName}`, () => place.removeUnstarted(externalName, id));
    if (isStarted) return true;
    if (!isOurs) {
      await undo();
      return false;
    }
    try {
      signal.throwIfAborted();
      await launch.confirm();
      signal.throwIfAborted();
    } catch (error) {
      // Why it is not started tells more than why the rest could not be removed, which is found by its name.
      if (signal.reason !== SHUTDOWN && sim.random.chance(HALF_MADE)) await undo().catch(() => undefined);
      throw error;
    }
    return await call(`start ${externalName}`, () => place.start(id, launch, signal));
  }

  return {
    ...adapter,
    async submit(launch, signal) {
      launch.report({ phase: "pulling", data: { image: "model" } });
      await call(`pull ${launch.externalName}`, () => undefined);
      signal.throwIfAborted();
      launch.report({ phase: "creating" });
      for (let tries = 0; tries < TRIES; tries++) if (await begin(launch, signal)) return launch.externalName;
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "model: somebody else has the name again and again");
    },
    status: (ref) => call(`status ${ref}`, () => adapter.status(ref)),
    cancel: (ref, graceSeconds) => call(`cancel ${ref}`, () => adapter.cancel(ref, graceSeconds)),
    wait: (ref, signal) => call(`wait ${ref}`, () => adapter.wait(ref, signal)),
    cleanup: (ref) => call(`cleanup ${ref}`, () => adapter.cleanup(ref)),
    find: (externalName) => call(`find ${externalName}`, () => adapter.find(externalName)),
    async *list() {
      yield* await call("list", () => Array.fromAsync(adapter.list()));
    },
    async *logs(ref, options) {
      const lines = (await call(`logs ${ref}`, () => Array.fromAsync(adapter.logs(ref, options)))).flat();
      const cut = sim.random.chance(ports.faults.runtime) ? sim.random.below(lines.length + 1) : lines.length;
      if (cut > 0) yield lines.slice(0, cut);
      if (cut < lines.length) throw new LongshoreError("RUNTIME_UNAVAILABLE", "model: the log broke off");
    },
    health: async () => ({ ok: true, message: "model" }),
    dispose: async () => undefined,
  };
}

function secretNamed(name: string): string {
  if (name === "none") throw new LongshoreError("NOT_FOUND", "vault: there is no such secret");
  return `value-of-${name}`;
}

// What the benchmark uses of the peers' libraries. Declared here because they are installed only when it is run, and the
// types must be checked without them as well.

declare module "bullmq" {
  interface Options {
    connection: { path: string };
    concurrency?: number;
  }
  export class Queue {
    constructor(name: string, options: Options);
    add(name: string, data: object): Promise<unknown>;
    getJobCounts(...states: string[]): Promise<Record<string, number>>;
    close(): Promise<void>;
  }
  export class Worker {
    constructor(name: string, processor: () => Promise<void>, options: Options);
    waitUntilReady(): Promise<unknown>;
  }
}

declare module "pg" {
  export interface PoolOptions {
    host: string;
    database: string;
    user: string;
    max: number;
  }
  export class Pool {
    constructor(options: PoolOptions);
    query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "connect", listener: (client: { on: Pool["on"] }) => void): void;
    end(): Promise<void>;
  }
}

declare module "pg-boss" {
  import type { PoolOptions } from "pg";

  export class PgBoss {
    constructor(options: PoolOptions & { useListenNotify: boolean; supervise: boolean; schedule: boolean });
    on(event: "error", listener: (error: Error) => void): void;
    start(): Promise<unknown>;
    stop(options: { graceful: boolean }): Promise<void>;
    createQueue(name: string, options: { notify: boolean }): Promise<void>;
    send(name: string, data: object): Promise<string | null>;
    work(name: string, options: object, handler: () => Promise<void>): Promise<string>;
  }
}

declare module "graphile-worker" {
  import type { Pool } from "pg";

  export class Logger {
    constructor(factory: () => () => void);
  }
  export function makeWorkerUtils(options: { pgPool: Pool }): Promise<{
    migrate(): Promise<void>;
    addJob(task: string, payload: object): Promise<unknown>;
    release(): Promise<void>;
  }>;
  export function run(options: {
    preset: { worker: Record<string, unknown> };
    pgPool: Pool;
    taskList: Record<string, () => Promise<void>>;
    noHandleSignals: boolean;
  }): Promise<unknown>;
}

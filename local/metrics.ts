import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { JobRecord } from "../engine/ledger/records.ts";
import { METRICS, type Metric, type MetricName, type Sample, samplesOf } from "../engine/metrics.ts";
import type { EventTaken } from "../engine/operations/publish.ts";
import type { ReconcileReport } from "../engine/operations/reconcile.ts";
import { DEFAULT_LANE } from "../engine/spec/limits.ts";
import { VERSION } from "../engine/version.ts";

/** Lanes that are told apart: their names come from those who submit. */
const MAX_LANES = 20;
/** All other lanes; no lane can have this name. */
const OTHER_LANES = "_other";
/** Jobs of which it is known how far their events were counted. One that is forgotten has ended long ago. */
const MAX_JOBS = 10_000;
/** Between two looks at how late the event loop is, ms. */
const LOOP_RESOLUTION_MS = 20;
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** The numbers of one home, from the start of its process. */
export interface HomeMetrics {
  /** Counts an event, once, however often it comes. */
  taken: EventTaken;
  swept(report: ReconcileReport): void;
  answered(request: { method: string; route: string; code: number }): void;
  add(sample: Sample): void;
  /** Forgets what a gauge said. */
  reset(...names: MetricName[]): void;
  /**
   * All of it as text, for a scraper that accepts these media types: OpenMetrics where it asks for that.
   * @param accept the request's header.
   */
  text(accept: string | undefined): Promise<{ contentType: string; body: string }>;
  /** When the last sweep ended, ms since the epoch; undefined before the first one. */
  sweptAtMs(): number | undefined;
}

/** The process has these once, whatever homes it opens: they cannot be ended. */
let ofProcess: Registry | undefined;

export function createHomeMetrics(clock: () => number): HomeMetrics {
  const registry = new Registry();
  const made = new Map(Object.entries(METRICS).map(([name, metric]) => [name, make(name, metric, registry)]));
  const lanes = new Set<string>([DEFAULT_LANE]);
  /** The number of the last event of a job that was counted; those that changed last stand last. */
  const counted = new Map<JobRecord["jobId"], number>();
  let sweptAtMs: number | undefined;
  let printing: Promise<unknown> = Promise.resolve();
  // They count from now on, not from the first scrape on.
  const process = processRegistry();

  function laneLabel(lane: string): string {
    if (lanes.has(lane)) return lane;
    if (lanes.size === MAX_LANES) return OTHER_LANES;
    lanes.add(lane);
    return lane;
  }

  function add({ name, labels, value }: Sample): void {
    const { lane } = labels;
    made.get(name)?.add(lane === undefined ? labels : { ...labels, lane: laneLabel(lane) }, value);
  }

  const one = (name: MetricName, value: number) => add({ name, labels: {}, value });
  add({ name: "longshore_build_info", labels: { version: VERSION }, value: 1 });

  return {
    add,
    reset(...names) {
      for (const name of names) made.get(name)?.forget();
    },
    taken(event, job) {
      if (event.seq <= (counted.get(job.jobId) ?? 0)) return;
      counted.delete(job.jobId);
      counted.set(job.jobId, event.seq);
      const [oldest] = counted.keys();
      if (counted.size > MAX_JOBS && oldest !== undefined) counted.delete(oldest);
      for (const sample of samplesOf(event, job)) add(sample);
    },
    swept(report) {
      // Somebody else swept.
      if (report.stopped === "lease") return;
      sweptAtMs = clock();
      one("longshore_sweep_last_timestamp_seconds", sweptAtMs / 1000);
      if (report.active !== null) one("longshore_active_jobs", report.active);
      one("longshore_sweep_repairs_total", report.repaired);
      one("longshore_sweep_orphans_total", report.orphans);
      one("longshore_sweep_failures_total", report.failed);
    },
    answered({ method, route, code }) {
      const labels = { method: METHODS.has(method) ? method : "other", route, code: String(code) };
      add({ name: "longshore_http_requests_total", labels, value: 1 });
    },
    async text(accept) {
      const contentType = accept?.includes("application/openmetrics-text")
        ? Registry.OPENMETRICS_CONTENT_TYPE
        : Registry.PROMETHEUS_CONTENT_TYPE;
      const printed = printing.then(() => print([registry, process], contentType));
      // One after the other: the format is a state of the registry.
      printing = printed.catch(() => undefined);
      return { contentType, body: await printed };
    },
    sweptAtMs: () => sweptAtMs,
  };
}

interface Series {
  add(labels: Sample["labels"], value: number): void;
  /** It says nothing until something is added. */
  forget(): void;
}

function make(name: string, metric: Metric, registry: Registry): Series {
  const options = { name, help: metric.help, labelNames: [...metric.labels], registers: [registry] };
  if (metric.kind === "counter") {
    const counter = new Counter(options);
    return { add: (labels, value) => counter.inc(labels, value), forget: () => counter.reset() };
  }
  if (metric.kind === "gauge") {
    const gauge = new Gauge(options);
    // One without labels would say 0.
    const forget = () => (metric.labels.length === 0 ? gauge.remove() : gauge.reset());
    forget();
    return { add: (labels, value) => gauge.set(labels, value), forget };
  }
  const histogram = new Histogram({ ...options, buckets: [...(metric.buckets ?? [])] });
  return { add: (labels, value) => histogram.observe(labels, value), forget: () => histogram.reset() };
}

function processRegistry(): Registry {
  if (ofProcess !== undefined) return ofProcess;
  ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: LOOP_RESOLUTION_MS });
  return ofProcess;
}

async function print(registries: Registry[], contentType: string): Promise<string> {
  const all = Registry.merge(registries);
  const metrics = all.getMetricsAsArray();
  const names = metrics.map(({ name }) => name);
  (all as Registry<never>).setContentType(contentType as never);
  try {
    return await all.metrics();
  } finally {
    // For OpenMetrics the library takes the end off the names of counters, and leaves them so.
    for (const [at, metric] of metrics.entries()) metric.name = names[at] ?? metric.name;
  }
}

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** How many jobs stand at each place of their lives. */
export type Census = Record<string, number>;

/**
 * Where the jobs stand that have not come to rest, as the ledger of a home tells whose process is dead or alive: by
 * status and phase, and `cleaning up` for those that have ended and have something left to remove.
 */
export function takeCensus(data: string): Census {
  const census: Census = {};
  for (const text of bodies(data, "i2pk = 'ACTIVE' OR i2pk LIKE 'WAITING#%' OR i2pk LIKE 'PARKED#%'")) {
    const place = placeOf(JSON.parse(text));
    census[place] = (census[place] ?? 0) + 1;
  }
  return census;
}

interface Standing {
  status: string;
  phase: string | null;
  slotShard: number | null;
  parked: boolean;
}

function placeOf({ status, phase, slotShard, parked }: Standing): string {
  if (status === "PENDING") return slotShard !== null ? "admitted" : parked ? "parked" : "queued";
  if (status === "RETRYING") return "retrying";
  return status === "RUNNING" ? (phase ?? "running") : "cleaning up";
}

/** What is not zero of the ledger's counters, and what is left of its lists of jobs to see to: one sentence each. */
export function leftCounters(data: string): string[] {
  const kinds = ["QUEUE#%", "SLOTS#%", "CONCURRENCY#%", "LANES#%"].map((like) => `pk LIKE '${like}'`);
  const faults: string[] = [];
  for (const text of bodies(data, kinds.join(" OR "), "json_object('pk', pk, 'sk', sk, 'body', json(body))")) {
    const { pk, sk, body } = JSON.parse(text) as { pk: string; sk: string; body: Record<string, unknown> };
    for (const name of ["count", "waiting", "running", "sinceSum"]) {
      if (Number(body[name] ?? 0) !== 0) faults.push(`${pk} ${sk}: ${name} is ${body[name]}`);
    }
  }
  for (const [place, count] of Object.entries(takeCensus(data))) faults.push(`${count} jobs are still ${place}`);
  return faults;
}

/** How many events a job has, and the highest of their numbers: they differ where there is a gap. */
export function eventGaps(data: string): { jobs: number; faults: string[] } {
  const ledger = open(data);
  try {
    const rows = ledger
      .prepare(
        // An item of events has the key of its last one, and holds those that were committed with it before.
        `SELECT pk, sum(1 + coalesce(json_array_length(body, '$.earlier'), 0)) AS events,
           max(CAST(substr(sk, 7) AS INTEGER)) AS last FROM items
         WHERE pk LIKE 'JOB#%' AND sk LIKE 'EVENT#%' GROUP BY pk`,
      )
      .all();
    const gaps = rows.filter(({ events, last }) => events !== last);
    return { jobs: rows.length, faults: gaps.map(({ pk, events, last }) => `${pk}: ${events} events up to ${last}`) };
  } finally {
    ledger.close();
  }
}

/** How the jobs of a home ended, by status, with the number of terminal events of each. */
export function endings(data: string): { status: string; ends: number; jobs: number }[] {
  const ledger = open(data);
  try {
    return ledger
      .prepare(
        `SELECT json_extract(job.body, '$.status') AS status, count(*) AS jobs,
           (SELECT count(*) FROM items AS event WHERE event.pk = job.pk AND event.sk LIKE 'EVENT#%'
            AND json_extract(event.body, '$.type') IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT')) AS ends
         FROM items AS job WHERE job.pk LIKE 'JOB#%' AND job.sk = 'JOB' GROUP BY status, ends`,
      )
      .all()
      .map(({ status, ends, jobs }) => ({ status: String(status), ends: Number(ends), jobs: Number(jobs) }));
  } finally {
    ledger.close();
  }
}

/** The id of the home, which its containers carry as a label: the contract does not show it. */
export function homeIdOf(data: string): string {
  const id = /home_[0-9A-Z]{26}/.exec(bodies(data, "pk = 'HOME'").join())?.[0];
  if (id === undefined) throw new Error("the ledger has no home's id");
  return id;
}

function bodies(data: string, where: string, what = "body"): string[] {
  const ledger = open(data);
  try {
    const rows = ledger.prepare(`SELECT ${what} AS text FROM items WHERE ${where}`).all();
    return rows.map(({ text }) => String(text));
  } finally {
    ledger.close();
  }
}

function open(data: string): DatabaseSync {
  return new DatabaseSync(join(data, "ledger.db"), { readOnly: true, timeout: 10_000 });
}

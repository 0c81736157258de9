/** How many jobs a worker takes at once and how it fetches them; each peer reads what it knows. */
export type Tuning = Record<string, number>;

/** A system with its store and its worker running, ready for jobs. */
export interface Running extends AsyncDisposable {
  /** Submits one no-op job; resolves when the system says that it is durable. */
  submit(): Promise<void>;
  /** How many of the submitted jobs are not durably done yet, as the system's own store tells. */
  left(): Promise<number>;
}

/** One system to measure. */
export interface Peer {
  name: string;
  /** What it keeps of a job that is done: it is part of the work. */
  keeps: string;
  /** The settings of its worker that are tried; the best one is measured. */
  tunings: Tuning[];
  start(tuning: Tuning): Promise<Running>;
}

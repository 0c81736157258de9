/** The value below which the share `q` (0…1) of the values lies; by nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A figure as one JSON line: what was measured, the ratio, what it was compared to, and how it came about. */
export interface Figure {
  figure: string;
  ratio: number;
  /** What the ratio is of: ours over this. */
  against: string;
  [detail: string]: unknown;
}

export function printFigure(figure: Figure): void {
  const rounded = Object.entries(figure).map(([key, value]) => [key, typeof value === "number" ? round(value) : value]);
  console.log(JSON.stringify(Object.fromEntries(rounded)));
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The median of the ratios of pairs that were measured next to each other: a machine's drift cancels out. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
}

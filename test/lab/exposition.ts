/** One line of a metric, as a scraper reads it. */
export interface Line {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** A metric as its text tells it. */
export interface Family {
  name: string;
  type: string;
  help: string;
  lines: Line[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^\n]*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
};

/**
 * Reads the text format of Prometheus, and OpenMetrics where the text ends as that does, strictly:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * @throws Error for what a scraper may refuse: an unknown line, a family in two pieces or without its type, a series
 * twice, a histogram that does not add up, a counter that is negative or whose name does not end as it should.
 */
export function readExposition(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const isOpen = text.endsWith("# EOF\n");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: Family | undefined;
  const lines = text.slice(0, -1).split("\n");
  for (const line of isOpen ? lines.slice(0, -1) : lines) {
    if (line === "" && !isOpen) continue;
    const [, word = "", name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (word !== "") {
      if (!NAME.test(name)) throw new Error(`no name: ${line}`);
      if (current?.name !== name) {
        if (families.has(name)) throw new Error(`${name} comes in two pieces`);
        current = { name, type: "", help: "", lines: [] };
        families.set(name, current);
      }
      current[word === "HELP" ? "help" : "type"] = rest;
      continue;
    }
    const sample = readSample(line);
    if (current === undefined || !belongs(sample.name, current, isOpen)) throw new Error(`no family: ${line}`);
    const id = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(id)) throw new Error(`twice: ${line}`);
    seen.add(id);
    current.lines.push(sample);
  }
  for (const family of families.values()) check(family, isOpen);
  return families;
}

function readSample(line: string): Line {
  const [, name, labels = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const found: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labels.length) {
    const [, label = "", text = ""] = LABEL.exec(labels) ?? [];
    if (label === "") throw new Error(`no labels: ${line}`);
    if (label in found) throw new Error(`a label twice: ${line}`);
    found[label] = text.replace(/\\([\\"n])/g, (_, one: string) => (one === "n" ? "\n" : one));
  }
  const number = value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value);
  // Read without regard to case, as OpenMetrics says.
  if (value === "" || (Number.isNaN(number) && !/^nan$/i.test(value))) throw new Error(`no number: ${line}`);
  return { name, labels: found, value: number };
}

function belongs(name: string, { name: family, type }: Family, isOpen: boolean): boolean {
  const suffixes = isOpen && type === "counter" ? ["_total"] : (SUFFIXES[type] ?? [""]);
  return suffixes.some((suffix) => name === family + suffix);
}

function check({ name, type, help, lines }: Family, isOpen: boolean): void {
  if (!["counter", "gauge", "histogram", "summary"].includes(type)) throw new Error(`${name} has the type ${type}`);
  if (help === "") throw new Error(`${name} has no help`);
  if (type === "counter") {
    if (name.endsWith("_total") === isOpen) throw new Error(`${name} is no name for a counter`);
    if (lines.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below 0`);
  }
  if (type === "histogram") checkHistogram(name, lines);
}

function checkHistogram(name: string, lines: Line[]): void {
  const without = ({ le: _, ...labels }: Record<string, string>) => JSON.stringify(Object.entries(labels).sort());
  for (const [labels, series] of Map.groupBy(lines, (line) => without(line.labels))) {
    const buckets = series.filter((line) => line.name === `${name}_bucket`);
    const count = series.find((line) => line.name === `${name}_count`)?.value;
    const bounds = buckets.map((line) =>
      line.labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(line.labels.le),
    );
    const grow = (all: number[]) => all.every((value, at) => at === 0 || value >= (all[at - 1] ?? 0));
    if (!grow(bounds) || !grow(buckets.map(({ value }) => value))) throw new Error(`${name}${labels}: no histogram`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || buckets.at(-1)?.value !== count)
      throw new Error(`${name}${labels}: its buckets do not end with its count`);
  }
}

/** The value of one series; undefined when there is none. The labels are all that it has. */
export function valueIn(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const same = (one: Record<string, string>) =>
    JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(labels).sort());
  for (const { lines } of families.values()) {
    const found = lines.find((line) => line.name === name && same(line.labels));
    if (found !== undefined) return found.value;
  }
  return undefined;
}

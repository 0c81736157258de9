import fc from "fast-check";

const NASTY = [
  "",
  " ",
  "\0",
  "a\0b",
  "../../etc/passwd",
  "..",
  "/",
  "-",
  "--help",
  "$(reboot)",
  "`id`",
  "'; DROP TABLE items; --",
  "__proto__",
  "constructor",
  "toString",
  "\ud800",
  "\u202e\u0000\uffff",
  "a".repeat(5000),
  "job_01J00000000000000000000000",
  "env:PATH",
  "file:///etc/shadow",
  "$.jobId",
  "%00%zz",
  "\r\nX-Injected: 1",
  "💣".repeat(40),
  "STUB_DURATION_MS",
];
const NUMBERS = [0, -0, -1, 1, 0.5, 1e308, -1e308, 2 ** 53, 2 ** 31, 5e-324, 101, 2_000_001];

const nasty = fc.oneof(fc.constantFrom<unknown>(...NASTY), fc.constantFrom<unknown>(...NUMBERS), fc.jsonValue());
const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);

/** Mostly what the contract allows, now and then anything. */
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ arbitrary: good, weight: 14 }, { arbitrary: nasty, weight: 1 });
const map = (key: fc.Arbitrary<unknown>, value: fc.Arbitrary<unknown>) =>
  fc
    .array(fc.tuple(key, value), { maxLength: 4 })
    .map((pairs) =>
      Object.fromEntries(
        pairs.map(([name, member]) => [typeof name === "string" ? name : JSON.stringify(name), member]),
      ),
    );
const some = (shape: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, mostly(value)])), {
    requiredKeys: [],
  });
const words = fc.array(mostly(fc.string({ maxLength: 20 })), { maxLength: 4 });
const category = fc.constantFrom("AUTH", "IMAGE_PULL", "UNKNOWN", "OOM");
const container = some({ name: word, image: word, command: words, args: words, env: map(word, fc.string()) });

const KEYS: Record<string, fc.Arbitrary<unknown>> = {
  name: word,
  image: fc.constantFrom("alpine", "alpine:3.20", `registry.example:5000/a/b@sha256:${"0".repeat(64)}`),
  command: fc.array(word, { minLength: 1, maxLength: 3 }),
  args: words,
  env: map(mostly(word), mostly(fc.string())),
  secrets: map(word, fc.record({ from: mostly(fc.constantFrom("env:NOWHERE", "file:/nowhere")) })),
  sensitive: fc.array(word, { maxLength: 2 }),
  resources: some({ cpu: fc.constant(1), memoryMiB: fc.constant(64), diskMiB: fc.constant(10), gpu: nasty }),
  timeoutSeconds: fc.integer({ min: 1, max: 2_000_000 }),
  retry: some({
    maxAttempts: fc.constant(1),
    delaySeconds: fc.constant(0),
    backoff: fc.constant(2),
    maxDelaySeconds: fc.constant(0),
    on: fc.array(category, { maxLength: 2 }),
  }),
  artifacts: some({ paths: fc.array(word), maxBytes: fc.constant(1), gzip: fc.boolean() }),
  logs: some({ maxBytes: fc.constant(1000) }),
  volumes: fc.array(some({ source: fc.constant("/data"), target: fc.constant("/data"), readOnly: fc.boolean() })),
  workdir: fc.constantFrom("/work", "/"),
  user: fc.constantFrom("1000:1000", "nobody"),
  network: some({ mode: fc.constantFrom("none", "isolated", "workflow") }),
  security: some({ readOnlyRoot: fc.boolean(), addCapabilities: fc.constant([]) }),
  labels: map(mostly(word), mostly(word)),
  lane: word,
  priority: fc.integer({ min: -100, max: 100 }),
  concurrencyKey: fc.string({ minLength: 1, maxLength: 10 }),
  stopGraceSeconds: fc.integer({ min: 0, max: 60 }),
  cleanup: fc.constantFrom("always", "onSuccess", "never"),
  registryAuth: fc.record({ from: mostly(fc.constant("env:NOWHERE")) }),
  sidecars: fc.array(container, { maxLength: 2 }),
  initContainers: fc.array(container, { maxLength: 2 }),
  healthCheck: some({ command: words, intervalSeconds: fc.constant(1), retries: fc.constant(1) }),
  placement: some({ spot: fc.boolean(), arch: fc.constant("amd64"), region: word, zone: word }),
  budget: some({ maxCostUsd: fc.constant(1), tag: word }),
};

/** A few of the documented keys with more or less hostile values, and sometimes a key that nobody knows. */
const spec = fc
  .tuple(
    fc.subarray(Object.keys(KEYS), { maxLength: 6 }),
    fc.record(Object.fromEntries(Object.entries(KEYS).map(([key, value]) => [key, mostly(value)]))),
    fc.oneof(
      { arbitrary: fc.constant([]), weight: 14 },
      { arbitrary: fc.array(fc.tuple(fc.string(), nasty)), weight: 1 },
    ),
  )
  .map(([chosen, values, unknown]) => ({
    runtime: "stub",
    ...Object.fromEntries(chosen.map((key) => [key, values[key]])),
    ...Object.fromEntries(unknown),
  }));

/** Bodies for a submit: specs, and JSON that is none. */
export const hostileBody: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: spec.map((value) => JSON.stringify(value)), weight: 8 },
  { arbitrary: fc.json(), weight: 1 },
  { arbitrary: fc.tuple(spec, fc.nat()).map(([value, at]) => broken(JSON.stringify(value), at)), weight: 1 },
);

/** Cut or with one character too many. */
function broken(text: string, at: number): string {
  const place = at % (text.length + 1);
  return at % 2 === 0 ? text.slice(0, place) : `${text.slice(0, place)}"${text.slice(place)}`;
}

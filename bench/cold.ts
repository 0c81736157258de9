import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { entryNames, type Made, makeBundle, makeReference } from "../test/lab/bundles.ts";
import { median, pairedRatio, printFigure } from "./stats.ts";

// What a function's start costs: its bundle, as deployed, is loaded by fresh processes, beside an empty handler and beside
// the client of DynamoDB alone, which no function of this home can do without. All of them in turn, round by round, so that
// what the machine does otherwise falls on all; processor time is told beside the time that passed, since it suffers less.

const ROUNDS = Number(process.argv[2] ?? 21);
/** The one without an SDK of its own. */
const RUNTIMES = ["stub"];
const MOST = 1.25;
/** The functions that somebody waits for: they get an event too. */
const AIMED: ReadonlySet<string> = new Set(["submit", "query"]);
const ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:m";

/** What a deployment says to every function, and to some. */
const SETTINGS = {
  NODE_OPTIONS: "--enable-source-maps",
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "bench",
  AWS_SECRET_ACCESS_KEY: "bench",
  LONGSHORE_TABLE: "t",
  LONGSHORE_BUCKET: "b",
  LONGSHORE_BUS: "b",
  LONGSHORE_STATE_MACHINE: ARN,
  LONGSHORE_SPEC_KEY: "k",
  LONGSHORE_DIGEST_KEY: "k",
  LONGSHORE_RUNTIMES: RUNTIMES.join(","),
};

const REFERENCES: Record<string, string> = {
  empty: "export const handler = async () => null;",
  dynamodb: `
    import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
    const client = new DynamoDBClient({});
    const Key = { pk: { S: "HOME" }, sk: { S: "HOME" } };
    export const handler = async () => await client.send(new GetItemCommand({ TableName: "t", Key }));`,
};

/** One start: from the process's beginning until the module was loaded, and until it had answered one event. */
interface Start {
  loadMs: number;
  loadCpuMs: number;
  firstMs: number;
  firstCpuMs: number;
}

const folder = await mkdtemp(join(tmpdir(), "longshore-cold-"));
const table = createServer(async (request, response) => {
  await text(request);
  response.setHeader("Content-Type", "application/x-amz-json-1.0");
  response.end(
    JSON.stringify({ Item: { pk: { S: "HOME" }, sk: { S: "HOME" }, homeId: { S: "home_x" }, "~f": { S: "" } } }),
  );
});
try {
  await new Promise<void>((resolve) => table.listen(0, "127.0.0.1", resolve));
  await measure(`http://127.0.0.1:${(table.address() as AddressInfo).port}`);
} finally {
  table.close();
  table.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
}

async function measure(endpoint: string): Promise<void> {
  const references = Object.entries(REFERENCES).map(([name, source]) => makeReference(name, source, folder));
  const made = [...references, ...entryNames().map((name) => makeBundle(name, RUNTIMES, folder))];
  const starts = new Map<string, Start[]>(made.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    // Another order each time: whoever comes after the same one would always find the same caches.
    for (const one of [...made.slice(round % made.length), ...made.slice(0, round % made.length)]) {
      starts.get(one.name)?.push(await start(one, endpoint));
    }
  }
  for (const one of made) report(one, starts);
}

async function start({ file, name }: Made, endpoint: string): Promise<Start> {
  const event = AIMED.has(name) || name === "dynamodb" ? "event" : "none";
  const script = join(import.meta.dirname, "cold-start.mjs");
  const env = { ...SETTINGS, AWS_ENDPOINT_URL: endpoint };
  const { stdout } = await promisify(execFile)(process.execPath, [script, file, event], { env });
  return JSON.parse(stdout) as Start;
}

function report(made: Made, starts: ReadonlyMap<string, Start[]>): void {
  const { name, bytes, zippedBytes, loadedBytes } = made;
  const of = (which: string, figure: keyof Start) => (starts.get(which) ?? []).map((one) => one[figure]);
  const against = (other: string, figure: keyof Start) => pairedRatio(of(name, figure), of(other, figure));
  const isAimed = AIMED.has(name);
  printFigure({
    figure: `start of ${name}`,
    ratio: against("dynamodb", "loadCpuMs"),
    against: "@aws-sdk/client-dynamodb alone, processor time until loaded",
    wallRatio: against("dynamodb", "loadMs"),
    toEmpty: against("empty", "loadCpuMs"),
    ...(isAimed ? { most: MOST, firstEventRatio: against("dynamodb", "firstCpuMs") } : {}),
    loadMs: median(of(name, "loadMs")),
    loadCpuMs: median(of(name, "loadCpuMs")),
    ...(isAimed || name === "dynamodb" ? { firstEventCpuMs: median(of(name, "firstCpuMs")) } : {}),
    kib: bytes / 1024,
    zippedKib: zippedBytes / 1024,
    loadedKib: loadedBytes / 1024,
    rounds: ROUNDS,
  });
}

import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

// What the submissions are compared to: JSON in, one row in a WAL database with every commit synced, JSON out.
const directory = process.argv[2] ?? ".";
const db = new DatabaseSync(join(directory, "bare.db"));
db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE jobs (id INTEGER PRIMARY KEY, body TEXT)");
const insert = db.prepare("INSERT INTO jobs (body) VALUES (?)");

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  const { lastInsertRowid } = insert.run(JSON.stringify(body));
  response.writeHead(202, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jobId: String(lastInsertRowid) }));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  writeFileSync(join(directory, "endpoint.json"), JSON.stringify({ url: `http://127.0.0.1:${port}` }));
  console.log("ready");
});
process.on("SIGTERM", () => process.exit(0));

import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** One answer to a submission. */
export interface Answer {
  status: number;
  /** From the moment when the request was given to the socket pool until its answer was read. */
  ms: number;
  jobId: string | null;
  retryAfterSeconds: number | null;
}

const TICK_MS = 5;
/** A server that stands still shall not make the client open sockets without end: then requests wait, and that counts. */
const MAX_SOCKETS = 256;

/**
 * Offers submissions at a fixed rate, whatever becomes of those before: an open loop, as of callers who know nothing of
 * one another. Resolves when all are answered, with the rate at which they were really sent.
 * @throws Error when a connection breaks.
 */
export async function offer(
  url: string,
  { perSecond, seconds, body }: { perSecond: number; seconds: number; body: object },
): Promise<{ answers: Answer[]; sentPerSecond: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  const text = JSON.stringify(body);
  const begin = performance.now();
  const pending: Promise<Answer>[] = [];
  for (;;) {
    const elapsedMs = performance.now() - begin;
    const due = Math.min(perSecond * seconds, Math.floor((elapsedMs / 1_000) * perSecond));
    while (pending.length < due) pending.push(submit(agent, url, text));
    if (pending.length >= perSecond * seconds) break;
    await delay(TICK_MS);
  }
  const sentPerSecond = pending.length / ((performance.now() - begin) / 1_000);
  const answers = await Promise.all(pending);
  agent.destroy();
  return { answers, sentPerSecond };
}

function submit(agent: Agent, url: string, text: string): Promise<Answer> {
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const ms = performance.now() - begin;
        const status = response.statusCode ?? 0;
        const answer = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { jobId?: string };
        const after = response.headers["retry-after"];
        resolve({
          status,
          ms,
          jobId: answer.jobId ?? null,
          retryAfterSeconds: after === undefined ? null : Number(after),
        });
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}

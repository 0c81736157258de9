import { Agent, request } from "node:http";

/** Posts a JSON body over a kept-alive connection; resolves with the answer. */
export function post<T>(agent: Agent, url: string, body: object): Promise<T> {
  const text = JSON.stringify(body);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks).toString("utf8");
        if (response.statusCode === 202) resolve(JSON.parse(answer) as T);
        else reject(new Error(`${response.statusCode}: ${answer}`));
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}

/** Requests a second that so many clients, each one request after the other, get through in a time. */
export async function ratePerSecond(url: string, load: { clients: number; ms: number; body: object }): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.clients });
  const begin = performance.now();
  let done = 0;
  const client = async () => {
    while (performance.now() - begin < load.ms) {
      await post(agent, url, load.body);
      done++;
    }
  };
  await Promise.all(Array.from({ length: load.clients }, client));
  agent.destroy();
  return done / ((performance.now() - begin) / 1000);
}

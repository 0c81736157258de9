import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { Answer, Target } from "./client.ts";

/** A request with any headers (fetch sets `Host` by itself) and any bytes; `path` as in `call`. */
export async function rawCall(
  target: Target,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array | string } = {},
): Promise<Answer<unknown>> {
  const { method = "GET", headers = {}, body } = options;
  const base = new URL(target.api());
  const { hostname, port } = base;
  const signed = await signedHeaders(target, { method, url: new URL(`${base.href}${path}`), headers, body });
  // Not through a URL, which would mend the path.
  const call = request({ hostname, port, method, path: `${base.pathname}${path}`, headers: signed, agent: false });
  // The answer may come before the server has taken the whole body.
  call.on("error", () => undefined);
  call.end(body);
  const [response] = await once(call, "response");
  const said = await text(response);
  target.record?.(said);
  return {
    status: response.statusCode,
    headers: new Headers(response.headers as Record<string, string>),
    text: said,
    body: /json/.test(response.headers["content-type"] ?? "") ? JSON.parse(said) : said,
  };
}

/** @throws TypeError for bytes where the home wants signatures: what they are of is text. */
async function signedHeaders(
  { sign }: Target,
  request: { method: string; url: URL; headers: Record<string, string>; body: Uint8Array | string | undefined },
): Promise<Record<string, string>> {
  const { headers, body } = request;
  if (sign === undefined) return headers;
  if (body instanceof Uint8Array) throw new TypeError("only text can be signed here");
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return await sign({ ...request, body, headers: Object.fromEntries(lower) });
}

/** Writes the pieces to a socket, one after the other, and gives what comes back until the server closes it, which the request must ask for. */
export async function talk(target: Target, pieces: (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(target.api());
  const socket = connect(Number(port), hostname);
  // The server may have gone before everything was written.
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "connect");
  for (const piece of pieces) socket.write(piece);
  await closed;
  const said = Buffer.concat(chunks).toString();
  target.record?.(said);
  return said;
}

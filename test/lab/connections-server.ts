import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** One reader's connection, as the stand-in keeps it. */
export interface LabConnection {
  /** All that was sent, a text for each frame. */
  texts: string[];
  /** Opening, open, or gone: API Gateway answers 410 to whoever sends where nothing is open. */
  state: "opening" | "open" | "gone";
  /** It was ended from this side. */
  isEnded: boolean;
}

/** What the management API of a WebSocket API is to a function: moto has none. */
export interface ConnectionsServer {
  /** As `LONGSHORE_LOG_STREAMS` has it. */
  endpoint: string;
  /** By their ids; a connection that is not here is gone. */
  connections: Map<string, LabConnection>;
  /** The next so many calls are answered so instead. */
  faults: { status: number; type: string }[];
  /** Method and path of every call. */
  calls: string[];
  /** Called after each text that has arrived. */
  onText: (id: string, text: string) => void;
  close(): Promise<void>;
}

/** API Gateway's limit for what is posted at once, bytes. */
const MAX_BYTES = 128 * 1024;

/** As https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html says. */
export async function startConnectionsServer(): Promise<ConnectionsServer> {
  const under: Omit<ConnectionsServer, "endpoint" | "close"> = {
    connections: new Map(),
    faults: [],
    calls: [],
    onText: () => undefined,
  };
  const server = createServer(async (request, response) => {
    const { method = "", url = "" } = request;
    const body = await text(request);
    under.calls.push(`${method} ${url}`);
    const refuse = (status: number, type: string) =>
      response.writeHead(status, { "x-amzn-errortype": type, "Content-Type": "application/json" }).end("{}");
    const fault = under.faults.shift();
    if (fault !== undefined) return refuse(fault.status, fault.type);
    const id = decodeURIComponent(/^\/logs\/@connections\/([^/?]+)(?:\?.*)?$/.exec(url)?.[1] ?? "");
    const connection = under.connections.get(id);
    if (!/^AWS4-HMAC-SHA256 .*\/execute-api\/aws4_request/.test(request.headers.authorization ?? ""))
      return refuse(403, "ForbiddenException");
    if (connection?.state !== "open") return refuse(410, "GoneException");
    if (method === "DELETE") {
      connection.state = "gone";
      connection.isEnded = true;
      return response.writeHead(204).end();
    }
    if (Buffer.byteLength(body) > MAX_BYTES) return refuse(413, "PayloadTooLargeException");
    connection.texts.push(body);
    response.writeHead(200).end();
    under.onText(id, body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(under, {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

/** A connection that is open and has got nothing. */
export function openConnection(): LabConnection {
  return { texts: [], state: "open", isEnded: false };
}

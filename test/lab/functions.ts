import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Functions of a test that the lab's state machines can call. */
export interface LabFunctions {
  /** What stands for a function's ARN in a definition. */
  arn(name: string): string;
  stop(): Promise<void>;
}

/**
 * Listens on loopback for calls of moto's state machines, and answers them as Lambda does: what a handler throws is a
 * function error with the error's name.
 */
export async function startFunctions(
  handlers: Record<string, (payload: unknown) => Promise<unknown>>,
): Promise<LabFunctions> {
  const server = createServer(async (request, response) => {
    const handler = handlers[request.url?.slice(1) ?? ""];
    try {
      if (handler === undefined) throw new Error(`no function ${request.url}`);
      response.end(JSON.stringify((await handler(JSON.parse(await text(request)))) ?? null));
    } catch (thrown) {
      const { name, message } = thrown as Error;
      response.writeHead(500).end(JSON.stringify({ errorType: name, errorMessage: message }));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    arn: (name) => `loopback-${port}-${name}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

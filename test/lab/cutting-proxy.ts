import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import type { Random } from "../chaos/random.ts";

/** A way to a server on which connections break off. */
export interface CuttingProxy {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** How often it has cut so far. */
  cuts(): number;
  close(): Promise<void>;
}

/**
 * Opens a proxy that hands on bytes and cuts the first `cuts` connections, each after a random number of the server's
 * bytes up to `maxBytes`: by a reset or by an end, in the middle of whatever there is.
 */
export async function openCuttingProxy(
  to: URL,
  { cuts, maxBytes, random }: { cuts: number; maxBytes: number; random: Random },
): Promise<CuttingProxy> {
  const open = new Set<Socket>();
  let made = 0;
  const server = createServer((client) => {
    const home = connect(Number(to.port), to.hostname);
    let left = made < cuts ? random.int(0, Math.floor(maxBytes)) : Number.POSITIVE_INFINITY;
    const end = (reset: boolean) => {
      for (const one of [client, home]) {
        open.delete(one);
        if (reset) one.resetAndDestroy();
        else one.destroy();
      }
    };
    const cut = () => {
      // Two connections at once may have been made for the same last cut.
      if (made < cuts) made += 1;
      end(random.chance(0.5));
    };
    for (const one of [client, home]) open.add(one.on("error", () => end(false)).on("close", () => end(false)));
    client.on("data", (bytes) => home.write(bytes));
    home.on("data", (bytes) => {
      if (bytes.length < left) {
        left -= bytes.length;
        if (client.write(bytes)) return;
        home.pause();
        client.once("drain", () => home.resume());
        return;
      }
      client.write(bytes.subarray(0, left), cut);
      left = 0;
      home.pause();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => made,
    async close() {
      for (const one of open) one.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { execa } from "execa";

/** The name of a host of API Gateway, which in truth is a server on loopback. */
export interface TlsDoor {
  /** `https://HOST`. */
  url: string;
  /** With it in its environment a process of Node finds the host, and trusts it. */
  env: Record<string, string>;
  close(): Promise<void>;
}

/**
 * Opens a door by which programs reach a server on loopback as `https://HOST`: a proxy that connects nowhere else, and a
 * certificate for the name.
 */
export async function openTlsDoor(hostname: string, server: string): Promise<TlsDoor> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-tls-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await execa("python3", [join(import.meta.dirname, "tls-door.py"), hostname, cert, key]);
  const sockets = new Set<Socket>();
  const kept = <S extends Socket>(socket: S): S => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    return socket;
  };
  const link = (a: Socket, b: Socket) => {
    a.pipe(b).pipe(a);
    a.once("close", () => b.destroy());
    b.once("close", () => a.destroy());
  };
  const { port } = new URL(server);
  const tls = createTlsServer({ cert: await readFile(cert), key: await readFile(key) }, (socket) =>
    link(kept(socket), kept(connect(Number(port), "127.0.0.1"))),
  );
  const proxy = createServer((_, response) => void response.writeHead(405).end());
  proxy.on("connect", (request, socket: Socket) => {
    if (request.url !== `${hostname}:443`) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    link(kept(socket), kept(connect((tls.address() as AddressInfo).port, "127.0.0.1")));
  });
  for (const one of [tls, proxy]) {
    one.listen(0, "127.0.0.1");
    await once(one, "listening");
  }
  return {
    url: `https://${hostname}`,
    env: {
      NODE_USE_ENV_PROXY: "1",
      HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      NODE_EXTRA_CA_CERTS: cert,
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.closeAllConnections();
      for (const one of [tls, proxy]) {
        one.close();
        await once(one, "close");
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

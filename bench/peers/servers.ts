import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programOf } from "./debian.ts";
import { run, serve } from "./processes.ts";

// Both listen on a Unix socket only, in a directory of their own: no port, and less work for them than TCP.

export interface Server extends AsyncDisposable {
  /** Redis: the socket; PostgreSQL: the directory that it is in. */
  address: string;
}

/** The database and its user. */
export const DATABASE = { database: "postgres", user: "bench" };

/** Redis as durable as Longshore's table: every write is synced before its answer leaves. */
export async function startRedis(): Promise<Server> {
  const { directory, env } = await programOf("redis-server", "usr/bin/redis-server");
  await using starting = new AsyncDisposableStack();
  const folder = await folderFor(starting);
  const address = join(folder, "redis.sock");
  const durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
  const args = ["--port", "0", "--unixsocket", address, "--dir", folder, ...durable];
  starting.use(await serve({ program: join(directory, "redis-server"), args, env }, /ready to accept connections/));
  return owned(address, starting.move());
}

/** PostgreSQL with every commit synced. */
export async function startPostgres(): Promise<Server> {
  const { directory, env } = await programOf("postgresql", "usr/lib/postgresql/*/bin/postgres");
  await using starting = new AsyncDisposableStack();
  const address = await folderFor(starting);
  const user = { env, ...(await ordinaryUser()) };
  if (user.uid !== undefined && user.gid !== undefined) await chown(address, user.uid, user.gid);
  const data = join(address, "data");
  const init = ["-D", data, "-U", DATABASE.user, "--auth=trust", "--encoding=UTF8", "--no-locale"];
  await run({ program: join(directory, "initdb"), args: init, ...user });
  const durable = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
  const places = ["listen_addresses=", `unix_socket_directories=${address}`];
  const args = ["-D", data, ...[...durable, ...places].flatMap((setting) => ["-c", setting])];
  starting.use(await serve({ program: join(directory, "postgres"), args, ...user }, /ready to accept connections/));
  return owned(address, starting.move());
}

async function folderFor(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-peers-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** PostgreSQL refuses to run as root. */
async function ordinaryUser(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = await Promise.all(["-u", "-g"].map((flag) => run({ program: "id", args: [flag, "nobody"] })));
  return { uid: Number(uid), gid: Number(gid) };
}

function owned(address: string, stack: AsyncDisposableStack): Server {
  return { address, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

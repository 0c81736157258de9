import { makeHandler } from "../../log-socket.ts";
import { createLookingChanges } from "../changes.ts";
import { connectionsOf } from "../connections.ts";
import { createContext } from "../context.ts";
import { sealerOf } from "../drivers.ts";
import { type ConnectEvent, type FollowTask, jobIdOfConnection, logConnection } from "../log-connection.ts";
import { objectsOf } from "../objects.ts";
import { serve } from "../serve.ts";

/** API Gateway closes a connection that gets a larger frame: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html */
const FRAME_BYTES = 32 * 1024;

/** The WebSockets of logs: opened by API Gateway, told by invocations of their own. */
export const handler = serve<ConnectEvent | { follow: FollowTask }, { statusCode: number }>(
  async (base) => {
    const ctx = await createContext(base, { objects: objectsOf(base), sealer: sealerOf(base) });
    const none = { progressOf: () => null, onProgress: () => () => undefined };
    const feed = makeHandler(
      { ctx, changes: createLookingChanges(), ...none },
      { maxBytes: FRAME_BYTES, inParts: true },
    );
    return logConnection({ ...base, connections: connectionsOf(base), feed });
  },
  { jobIdOf: jobIdOfConnection },
);

import { createApiGatewayConnections } from "../../adapters/connections/api-gateway/index.ts";
import type { Connections } from "../../engine/ports/connections.ts";
import type { Base } from "./context.ts";
import { required } from "./settings.ts";

/**
 * The connections of the WebSocket API; tasks are handed over to the very function that this is.
 * @throws LongshoreError INTERNAL when the function was deployed without the API.
 */
export function connectionsOf({ settings }: Base): Connections {
  return createApiGatewayConnections({
    endpoint: required(settings, "LONGSHORE_LOG_STREAMS"),
    functionName: required(settings, "AWS_LAMBDA_FUNCTION_NAME"),
  });
}

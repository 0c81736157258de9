import type { ApiGatewayManagementApiClient } from "@aws-sdk/client-apigatewaymanagementapi";
import type { LambdaClient } from "@aws-sdk/client-lambda";
import type { Connections } from "../../../engine/ports/connections.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError } from "../../aws/errors.ts";

export interface ApiGatewayConnectionsOptions {
  /** Where the stage of the WebSocket API takes messages: `https://API.execute-api.REGION.amazonaws.com/STAGE`. */
  endpoint: string;
  /** The function that goes on with tasks. */
  functionName: string;
  /** Default: one client each with Longshore's own timeouts; the SDK finds region and credentials. */
  clients?: { management?: ApiGatewayManagementApiClient; lambda?: LambdaClient };
}

/**
 * The connections of a WebSocket API of API Gateway. A message that got no answer is sent again, so that a reader may get
 * one twice: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 */
export function createApiGatewayConnections(options: ApiGatewayConnectionsOptions): Connections {
  let management = options.clients?.management;
  let lambda = options.clients?.lambda;

  /** Whether the connection was there. */
  async function reached(what: string, call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (thrown) {
      if (awsCode(thrown) === "GoneException") return false;
      throw awsError(what, thrown);
    }
  }

  async function load() {
    const sdk = await import("@aws-sdk/client-apigatewaymanagementapi");
    const { endpoint } = options;
    management ??= new sdk.ApiGatewayManagementApiClient({ ...clientDefaults("apiGateway"), endpoint });
    return { sdk, client: management };
  }

  return {
    async post(ConnectionId, text) {
      const { sdk, client } = await load();
      const command = new sdk.PostToConnectionCommand({ ConnectionId, Data: Buffer.from(text) });
      return await reached("sending to a connection", () => client.send(command));
    },
    async close(ConnectionId) {
      const { sdk, client } = await load();
      await reached("ending a connection", () => client.send(new sdk.DeleteConnectionCommand({ ConnectionId })));
    },
    async handOver(task) {
      const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
      lambda ??= new LambdaClient(clientDefaults("lambda"));
      const FunctionName = options.functionName;
      const Payload = JSON.stringify(task);
      try {
        await lambda.send(new InvokeCommand({ FunctionName, InvocationType: "Event", Payload }));
      } catch (thrown) {
        throw awsError("handing a connection over", thrown);
      }
    },
  };
}

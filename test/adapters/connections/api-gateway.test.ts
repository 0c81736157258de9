import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { ApiGatewayManagementApiClient } from "@aws-sdk/client-apigatewaymanagementapi";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createApiGatewayConnections } from "../../../adapters/connections/api-gateway/index.ts";
import type { Connections } from "../../../engine/ports/connections.ts";
import { connectionsContract } from "../../contracts/connections.ts";
import { type ConnectionsServer, openConnection, startConnectionsServer } from "../../lab/connections-server.ts";

const access = { region: "us-east-1", credentials: { accessKeyId: "lab", secretAccessKey: "lab" } };

/** The driver with the SDK's own clients, before servers that answer as the services do. */
async function make() {
  const server = await startConnectionsServer();
  const invoked: { path: string; type: unknown; body: object }[] = [];
  let status = 202;
  const lambda = createServer(async (request, response) => {
    invoked.push({
      path: request.url ?? "",
      type: request.headers["x-amz-invocation-type"],
      body: (await json(request)) as object,
    });
    response.writeHead(status).end();
  });
  lambda.listen(0, "127.0.0.1");
  await once(lambda, "listening");
  const { endpoint } = server;
  const clients = {
    management: new ApiGatewayManagementApiClient({ ...clientDefaults("apiGateway"), ...access, endpoint }),
    lambda: new LambdaClient({
      ...clientDefaults("lambda"),
      ...access,
      endpoint: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`,
    }),
  };
  return {
    server,
    invoked,
    refuseWith(other: number) {
      status = other;
    },
    connections: createApiGatewayConnections({ endpoint, functionName: "follower", clients }),
    async end() {
      clients.management.destroy();
      clients.lambda.destroy();
      lambda.closeAllConnections();
      lambda.close();
      await Promise.all([once(lambda, "close"), server.close()]);
    },
  };
}

connectionsContract("api-gateway", async () => {
  const { server, invoked, connections, end } = await make();
  let count = 0;
  return {
    connections,
    async open() {
      // As API Gateway makes them.
      const id = `L0SM9cOFvHcCIhw${count++}=`;
      const connection = openConnection();
      server.connections.set(id, connection);
      return {
        id,
        texts: () => connection.texts,
        leave() {
          connection.state = "gone";
        },
        isEnded: () => connection.isEnded,
      };
    },
    tasks: () => invoked.map(({ body }) => body),
    end,
  };
});

describe("the connections of API Gateway", () => {
  let made: Awaited<ReturnType<typeof make>>;
  let server: ConnectionsServer;
  let connections: Connections;
  beforeEach(async () => {
    made = await make();
    ({ server, connections } = made);
    server.connections.set("c=", openConnection());
  });
  afterEach(() => made.end());

  it("are reached below the stage, with the id encoded", async () => {
    await connections.post("c=", "x");
    await connections.close("c=");
    expect(server.calls).toEqual(["POST /logs/@connections/c%3D", "DELETE /logs/@connections/c%3D"]);
  });

  it.each([
    [429, "LimitExceededException"],
    [500, "InternalServerException"],
  ])("are tried again after %i %s", async (status, type) => {
    server.faults.push({ status, type });
    expect(await connections.post("c=", "x")).toBe(true);
    expect(server.connections.get("c=")?.texts).toEqual(["x"]);
  });

  it("that cannot be reached for long are UNAVAILABLE, and a right that is lacking INTERNAL; neither quotes the text", async () => {
    server.faults.push(...Array.from({ length: 3 }, () => ({ status: 503, type: "ServiceUnavailable" })));
    const late = await connections.post("c=", "hunter2").catch((error: unknown) => error);
    expect(late).toMatchObject({ code: "UNAVAILABLE" });
    server.faults.push({ status: 403, type: "ForbiddenException" });
    const refused = await connections.post("c=", "hunter2").catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "INTERNAL", message: expect.not.stringContaining("hunter2") });
  });

  it("are handed over by an invocation that nobody waits for", async () => {
    await connections.handOver({ follow: 1 });
    expect(made.invoked).toEqual([
      { path: "/2015-03-31/functions/follower/invocations", type: "Event", body: { follow: 1 } },
    ]);
    made.refuseWith(403);
    await expect(connections.handOver({ follow: 2 })).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { ROUTES } from "../../infra/constructs/api.ts";
import type { DeployedHome } from "./deployed-home.ts";

/** What API Gateway is to a deployed home: moto's does not call functions. */
export interface AwsFront {
  /** `http://127.0.0.1:PORT`; the API is under `/api/v1`. */
  url: string;
  stop(): Promise<void>;
}

/** The caller, as IAM would have identified it. */
export const CALLER = "arn:aws:iam::123456789012:user/alice";

interface FunctionAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * Opens a front door that makes events of requests as API Gateway does, for the function that the deployed route names. An
 * answer that is streamed comes when it is complete.
 */
export async function openAwsFront(home: DeployedHome): Promise<AwsFront> {
  const lambda = new LambdaClient(home.client);
  const functionOf = (target: string) => {
    const logicalId = `${target.charAt(0).toUpperCase()}${target.slice(1)}Function`;
    const found = home.resources.find((one) => one.type === "AWS::Lambda::Function" && one.logicalId === logicalId);
    if (found === undefined) throw new Error(`no function ${logicalId} was deployed`);
    return found.physicalId;
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const path = url.pathname.replace(/^\/api/, "");
    const { target, resource, pathParameters } = routeOf(request.method ?? "GET", path);
    const body = await text(request);
    const event = {
      httpMethod: request.method,
      path,
      resource,
      headers: request.headers,
      multiValueHeaders: {},
      queryStringParameters: url.search === "" ? null : Object.fromEntries(url.searchParams),
      multiValueQueryStringParameters: url.search === "" ? null : multi(url.searchParams),
      pathParameters,
      stageVariables: null,
      body: body === "" ? null : body,
      isBase64Encoded: false,
      requestContext: { path: url.pathname, stage: "api", identity: { userArn: CALLER } },
    };
    const command = new InvokeCommand({ FunctionName: functionOf(target), Payload: JSON.stringify(event) });
    const { Payload, FunctionError } = await lambda.send(command);
    const answer = JSON.parse(Buffer.from(Payload ?? []).toString("utf8")) as FunctionAnswer;
    if (FunctionError !== undefined || answer.statusCode === undefined) {
      response.writeHead(502).end(JSON.stringify(answer));
      return;
    }
    response.writeHead(answer.statusCode, answer.headers).end(answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      lambda.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** As API Gateway: the resource with the most literal path, then the greedy one. */
function routeOf(
  method: string,
  path: string,
): {
  target: string;
  resource: string;
  pathParameters: Record<string, string> | null;
} {
  const found = ROUTES.filter(([, template]) => patternOf(template).test(path)).sort(
    ([, a], [, b]) => a.split("{").length - b.split("{").length,
  );
  const resource = found[0]?.[1];
  if (resource === undefined)
    return { target: "query", resource: "/{proxy+}", pathParameters: { proxy: path.slice(1) } };
  const route = found.find(([of, template]) => of === method && template === resource);
  const groups = patternOf(resource).exec(path)?.groups;
  return { target: route?.[2] ?? "query", resource, pathParameters: groups === undefined ? null : { ...groups } };
}

function patternOf(template: string): RegExp {
  return new RegExp(`^${template.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
}

function multi(params: URLSearchParams): Record<string, string[]> {
  return Object.fromEntries([...params.keys()].map((key) => [key, params.getAll(key)]));
}

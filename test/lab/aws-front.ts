import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { ROUTES } from "../../infra/constructs/api.ts";
import { createAwsSigner } from "../../sdk/aws-signer.ts";
import type { DeployedHome } from "./deployed-home.ts";
import { answerByGateway } from "./gateway-answers.ts";
import { type Identity, startSignatureCheck } from "./sigv4.ts";

/** What API Gateway is to a deployed home: moto's does not call functions. */
export interface AwsFront {
  /** `http://127.0.0.1:PORT`; the API is under `/api/v1`. */
  url: string;
  /** The global fetch with every request signed as `ALICE`, by the client's own signer. */
  signedFetch: typeof fetch;
  /** The headers of one request, signed as `ALICE`. */
  sign(request: {
    method: string;
    url: URL;
    headers: Record<string, string>;
    body: string | undefined;
  }): Promise<Record<string, string>>;
  stop(): Promise<void>;
}

/** The caller, as IAM identifies it by its signatures. */
export const CALLER = "arn:aws:iam::123456789012:user/alice";
export const ALICE: Identity = {
  accessKeyId: "AKIALABALICE00000000",
  secretAccessKey: "lab/alice+secret",
  userArn: CALLER,
};

const STAGE = "/api";
/** API Gateway's own limit for a request. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;
const REGION = "us-east-1";

interface FunctionAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * Opens a front door that lets in who has signed, and makes events of requests as API Gateway does, for the function that
 * the deployed route names.
 */
export async function openAwsFront(home: DeployedHome, others: readonly Identity[] = []): Promise<AwsFront> {
  const lambda = new LambdaClient(home.client);
  const check = await startSignatureCheck([ALICE, ...others]);
  const nameOf = (target: string) => {
    const logicalId = `${target.charAt(0).toUpperCase()}${target.slice(1)}Function`;
    const found = home.resources.find((one) => one.type === "AWS::Lambda::Function" && one.logicalId === logicalId);
    if (found === undefined) throw new Error(`no function ${logicalId} was deployed`);
    return found.physicalId;
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const body = await buffer(request);
    if (!pathname.startsWith(`${STAGE}/`)) {
      // There is no such stage: nothing of the stack is asked.
      response.writeHead(403, { "Content-Type": "application/json" }).end('{"message":"Forbidden"}');
      return;
    }
    if (body.length > MAX_BODY_BYTES) return answerByGateway(response, "REQUEST_TOO_LARGE", pathname);
    const verdict = await check.judge(request, body);
    if ("refused" in verdict) return answerByGateway(response, verdict.refused, pathname);
    const path = pathname.slice(STAGE.length);
    const { target, resource, pathParameters } = routeOf(request.method ?? "GET", path);
    const event = {
      httpMethod: request.method,
      path,
      resource,
      headers: request.headers,
      multiValueHeaders: {},
      queryStringParameters: searchParams.size === 0 ? null : Object.fromEntries(searchParams),
      multiValueQueryStringParameters: searchParams.size === 0 ? null : multi(searchParams),
      pathParameters,
      stageVariables: null,
      body: body.length === 0 ? null : body.toString("utf8"),
      isBase64Encoded: false,
      requestContext: { path: pathname, stage: STAGE.slice(1), identity: { userArn: verdict.userArn } },
    };
    if (target === "stream") return await stream(nameOf(target), event, response);
    const command = new InvokeCommand({ FunctionName: nameOf(target), Payload: JSON.stringify(event) });
    const { Payload, FunctionError } = await lambda.send(command);
    const said = JSON.parse(Buffer.from(Payload ?? []).toString("utf8")) as FunctionAnswer;
    if (FunctionError !== undefined || said.statusCode === undefined) {
      return answerByGateway(response, "INTEGRATION_FAILURE", pathname);
    }
    response.writeHead(said.statusCode, said.headers).end(said.body);
  }

  /**
   * Hands on what the function writes when it writes it. A reader that leaves is not told to the function, as Lambda does
   * not tell: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
   */
  async function stream(name: string, event: unknown, response: ServerResponse): Promise<void> {
    const { head, body } = await home.runner.stream(await home.describe(name), event);
    response.writeHead(head.statusCode, head.headers);
    response.flushHeaders();
    for await (const chunk of body) {
      if (response.destroyed) return;
      response.write(chunk);
    }
    response.end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.destroyed) console.error(error);
      if (response.headersSent) response.destroy();
      else answerByGateway(response, "INTEGRATION_FAILURE", request.url ?? "/");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const signer = createAwsSigner({ credentials: ALICE });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async signedFetch(input, init = {}) {
      const url = new URL(input instanceof Request ? input.url : input);
      const headers = Object.fromEntries(new Headers(init.headers ?? {}));
      const body = typeof init.body === "string" ? init.body : undefined;
      return await fetch(url, {
        ...init,
        headers: await signer.sign({ method: init.method ?? "GET", url, headers, body }, REGION),
      });
    },
    sign: (request) => signer.sign(request, REGION),
    async stop() {
      lambda.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await check.stop();
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
  return new RegExp(`^${template.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)").replace(/\{(\w+)\+\}/g, "(?<$1>.+)")}$`);
}

function multi(params: URLSearchParams): Record<string, string[]> {
  return Object.fromEntries([...params.keys()].map((key) => [key, params.getAll(key)]));
}

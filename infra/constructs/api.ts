import { Duration, RemovalPolicy } from "aws-cdk-lib";
import {
  AccessLogFormat,
  AuthorizationType,
  EndpointType,
  type IResource,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  ResponseTransferMode,
  ResponseType,
  RestApi,
} from "aws-cdk-lib/aws-apigateway";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { type InfraSettings, nameOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";
import { acknowledge } from "./nag.ts";

/** The functions behind the API. */
export interface ApiFunctions {
  submit: LongshoreFunction;
  resubmit: LongshoreFunction;
  query: LongshoreFunction;
  stream: LongshoreFunction;
}

/** Every route, and the function behind it; `functions/routes.ts` knows the same routes. */
export const ROUTES: readonly (readonly [method: string, path: string, target: keyof ApiFunctions])[] = [
  ["POST", "/v1/jobs", "submit"],
  ["GET", "/v1/jobs", "query"],
  ["POST", "/v1/jobs/batch", "submit"],
  ["GET", "/v1/jobs/{id}", "query"],
  ["POST", "/v1/jobs/{id}/cancel", "submit"],
  ["POST", "/v1/jobs/{id}/retry", "resubmit"],
  ["GET", "/v1/jobs/{id}/events", "stream"],
  ["GET", "/v1/jobs/{id}/logs", "stream"],
  ["GET", "/v1/jobs/{id}/logs/stream", "query"],
  ["GET", "/v1/jobs/{id}/artifacts", "query"],
  ["GET", "/v1/jobs/{id}/artifacts/{name+}", "stream"],
  ["HEAD", "/v1/jobs/{id}/artifacts/{name+}", "stream"],
  ["GET", "/v1/jobs/{id}/cost", "query"],
  ["GET", "/v1/runs", "query"],
  ["POST", "/v1/runs/cleanup", "submit"],
  ["GET", "/v1/runs/{id}", "query"],
  ["DELETE", "/v1/runs/{id}", "submit"],
  ["GET", "/v1/runs/{id}/receipt", "query"],
  ["GET", "/v1/runs/{id}/summary", "query"],
  ["GET", "/v1/runs/{id}/events", "query"],
  ["GET", "/v1/dead-letters", "query"],
  ["GET", "/v1/dead-letters/{id}", "query"],
  ["DELETE", "/v1/dead-letters/{id}", "submit"],
  ["POST", "/v1/dead-letters/{id}/replay", "resubmit"],
  ["GET", "/v1/runtimes", "query"],
  ["GET", "/v1/runtimes/{name}", "query"],
  ["GET", "/v1/usage", "query"],
  ["GET", "/v1/health", "query"],
  ["GET", "/v1/openapi.json", "query"],
];

/** What API Gateway answers by itself, as the problem documents that the functions answer with. */
export const GATEWAY_PROBLEMS: readonly [
  type: ResponseType,
  status: number,
  code: string,
  title: string,
  detail: string,
][] = [
  [ResponseType.MISSING_AUTHENTICATION_TOKEN, 401, "UNAUTHENTICATED", "Not authenticated", "the request is not signed"],
  [ResponseType.INVALID_SIGNATURE, 401, "UNAUTHENTICATED", "Not authenticated", "the signature is not right"],
  [ResponseType.EXPIRED_TOKEN, 401, "UNAUTHENTICATED", "Not authenticated", "the credentials have expired"],
  [ResponseType.UNAUTHORIZED, 401, "UNAUTHENTICATED", "Not authenticated", "the caller is not known"],
  [ResponseType.ACCESS_DENIED, 403, "FORBIDDEN", "Forbidden", "the caller's policies do not allow this call"],
  [ResponseType.WAF_FILTERED, 403, "FORBIDDEN", "Forbidden", "the request was filtered"],
  [ResponseType.RESOURCE_NOT_FOUND, 404, "NOT_FOUND", "Not found", "there is no such resource"],
  [ResponseType.REQUEST_TOO_LARGE, 413, "PAYLOAD_TOO_LARGE", "Payload too large", "the body is too large"],
  [
    ResponseType.UNSUPPORTED_MEDIA_TYPE,
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    "Unsupported media type",
    "the body must be application/json",
  ],
  [ResponseType.THROTTLED, 429, "QUOTA", "Quota exceeded", "too many requests: try again in a moment"],
  [ResponseType.QUOTA_EXCEEDED, 429, "QUOTA", "Quota exceeded", "too many requests"],
  [ResponseType.INTEGRATION_TIMEOUT, 503, "UNAVAILABLE", "Unavailable", "the answer took too long"],
  [ResponseType.INTEGRATION_FAILURE, 503, "UNAVAILABLE", "Unavailable", "the answer could not be made: try again"],
  [ResponseType.DEFAULT_4XX, 400, "MALFORMED", "Malformed request", "the request cannot be understood"],
  [ResponseType.DEFAULT_5XX, 500, "INTERNAL", "Internal error", "an unforeseen error"],
];

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html */
const LONGEST_STREAM = Duration.minutes(15);

const RETRY_AFTER: Readonly<Record<number, string>> = { 429: "1", 503: "1" };

/** The front door: REST, signed by IAM on every method, its bodies looked at by the functions only. */
export function makeApi(scope: Construct, settings: InfraSettings, functions: ApiFunctions): RestApi {
  const accessLog = new LogGroup(scope, "AccessLog", {
    retention: settings.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const api = new RestApi(scope, "Api", {
    restApiName: nameOf(settings, "api"),
    description: "Longshore: container jobs on any runtime",
    endpointTypes: [EndpointType.REGIONAL],
    defaultMethodOptions: { authorizationType: AuthorizationType.IAM },
    // One role a region lets API Gateway write logs at all; another API may have come to need it by the time we go.
    cloudWatchRole: true,
    cloudWatchRoleRemovalPolicy: RemovalPolicy.RETAIN,
    deployOptions: {
      stageName: "api",
      accessLogDestination: new LogGroupLogDestination(accessLog),
      accessLogFormat: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      // Its own log of an execution may quote requests, and a spec may hold a secret.
      loggingLevel: MethodLoggingLevel.OFF,
      dataTraceEnabled: false,
      metricsEnabled: true,
      tracingEnabled: settings.tracing,
      throttlingRateLimit: settings.apiRateLimit,
      throttlingBurstLimit: settings.apiBurstLimit,
    },
  });
  addProblems(api);
  addRoutes(api, functions);
  acknowledgeRules(api);
  return api;
}

/** Who called what, and how it ended; never a query or a body. */
const ACCESS_LOG = {
  requestId: "$context.requestId",
  time: "$context.requestTimeEpoch",
  caller: "$context.identity.userArn",
  method: "$context.httpMethod",
  path: "$context.path",
  status: "$context.status",
  bytes: "$context.responseLength",
  milliseconds: "$context.responseLatency",
  functionMilliseconds: "$context.integrationLatency",
  error: "$context.error.responseType",
};

function addProblems(api: RestApi): void {
  for (const [type, status, code, title, detail] of GATEWAY_PROBLEMS) {
    const body = { type: "about:blank", title, status, detail, code, instance: "$context.path" };
    const retryAfter = RETRY_AFTER[status];
    api.addGatewayResponse(`Problem${type.responseType}`, {
      type,
      statusCode: String(status),
      responseHeaders: {
        "Content-Type": "'application/problem+json'",
        ...(retryAfter === undefined ? {} : { "Retry-After": `'${retryAfter}'` }),
      },
      templates: { "application/json": JSON.stringify(body) },
    });
  }
}

function addRoutes(api: RestApi, functions: ApiFunctions): void {
  // One permission for the whole API: one for each route would not fit into a function's policy.
  const common = { proxy: true, scopePermissionToMethod: false };
  const integrations = {
    submit: new LambdaIntegration(functions.submit.lambda, common),
    resubmit: new LambdaIntegration(functions.resubmit.lambda, common),
    query: new LambdaIntegration(functions.query.lambda, common),
    stream: new LambdaIntegration(functions.stream.lambda, {
      ...common,
      responseTransferMode: ResponseTransferMode.STREAM,
      // The longest that a stream may last; without it API Gateway cuts one off after the 29 s of any other answer.
      timeout: LONGEST_STREAM,
    }),
  };
  const resources = new Set<IResource>();
  for (const [method, path, target] of ROUTES) {
    const resource = api.root.resourceForPath(path);
    resource.addMethod(method, integrations[target]);
    resources.add(resource);
  }
  // What no route takes is answered 404 or 405 as the local home does; API Gateway would call it not signed.
  for (const resource of resources) resource.addMethod("ANY", integrations.query);
  for (const rest of [api.root, api.root.addResource("{proxy+}")]) rest.addMethod("ANY", integrations.query);
}

function acknowledgeRules(api: RestApi): void {
  acknowledge(api, "APIG2", "bodies are validated in the functions only, so that both homes answer alike");
  acknowledge(api.deploymentStage, "APIG3", "every call is signed by IAM; a firewall costs more than an idle home");
  acknowledge(
    api.deploymentStage,
    "APIG6",
    "a log of an execution may quote a spec; the access log says who called what",
  );
  acknowledge(api, "COG4", "callers are known by IAM, not by Cognito");
  acknowledge(
    api,
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
    "API Gateway takes this policy for its logs, and no other",
  );
}

import { RemovalPolicy, Stack } from "aws-cdk-lib";
import { AccessLogFormat, type RestApi } from "aws-cdk-lib/aws-apigateway";
import { LogGroupLogDestination, WebSocketApi, WebSocketStage } from "aws-cdk-lib/aws-apigatewayv2";
import { WebSocketIamAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { WebSocketLambdaIntegration, WebSocketMockIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { type InfraSettings, nameOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";
import { acknowledge, acknowledgeWildcard } from "./nag.ts";

/** The stage's name, which is the path of the address. */
const STAGE = "logs";

/** Who opened and closed what; never a query, which may hold a signature. */
const ACCESS_LOG = {
  requestId: "$context.requestId",
  time: "$context.requestTimeEpoch",
  caller: "$context.identity.userArn",
  event: "$context.eventType",
  connectionId: "$context.connectionId",
  status: "$context.status",
  error: "$context.error.responseType",
};

/**
 * The WebSockets of logs: signed by IAM when they are opened, told by one function. What a client says on one is taken
 * and forgotten by API Gateway itself.
 * @param rest has the account's role for API Gateway's logs.
 */
export function makeLogStreams(
  scope: Construct,
  settings: InfraSettings,
  { target, rest }: { target: LongshoreFunction; rest: RestApi },
): WebSocketStage {
  const accessLog = new LogGroup(scope, "LogStreamsAccessLog", {
    retention: settings.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const api = new WebSocketApi(scope, "LogStreams", {
    apiName: nameOf(settings, "log-streams"),
    description: "Longshore: the logs of jobs as they come",
    connectRouteOptions: {
      integration: new WebSocketLambdaIntegration("Connect", target.lambda),
      authorizer: new WebSocketIamAuthorizer(),
    },
    defaultRouteOptions: {
      integration: new WebSocketMockIntegration("Ignored", {
        requestTemplates: { "200": '{"statusCode": 200}' },
        templateSelectionExpression: "200",
      }),
    },
  });
  const stage = new WebSocketStage(scope, "LogStreamsStage", {
    webSocketApi: api,
    stageName: STAGE,
    autoDeploy: true,
    throttle: { rateLimit: settings.apiRateLimit, burstLimit: settings.apiBurstLimit },
    accessLogSettings: {
      destination: new LogGroupLogDestination(accessLog),
      format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
    },
  });
  stage.node.addDependency(rest);
  acknowledge(api, "APIG4", "API Gateway authorizes a WebSocket when it is opened, and at no other route");
  const connections = Stack.of(scope).formatArn({
    service: "execute-api",
    resource: api.apiId,
    resourceName: `${STAGE}/*/@connections/*`,
  });
  target.set("LONGSHORE_LOG_STREAMS", stage.callbackUrl);
  target.allow(["execute-api:ManageConnections"], [connections]);
  acknowledgeWildcard(target, connections, "connections have names that API Gateway gives them");
  return stage;
}

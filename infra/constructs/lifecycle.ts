import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { RemovalPolicy } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { DefinitionBody, StateMachine, StateMachineType } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import { type InfraSettings, nameOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";
import { acknowledge } from "./nag.ts";

const DEFINITION = resolve(import.meta.dirname, "../../functions/lifecycle.asl.json");

/** The name of the state machine, by which the functions know it. */
export function lifecycleName(settings: InfraSettings): string {
  return nameOf(settings, "lifecycle");
}

/** The lifecycle of an attempt: the file that the local home runs too, with the functions of this deployment in it. */
export function makeLifecycle(
  scope: Construct,
  settings: InfraSettings,
  functions: { dispatch: LongshoreFunction; finalize: LongshoreFunction },
): StateMachine {
  const { dispatch, finalize } = functions;
  const role = new Role(scope, "LifecycleRole", { assumedBy: new ServicePrincipal("states.amazonaws.com") });
  const machine = new StateMachine(scope, "Lifecycle", {
    stateMachineName: lifecycleName(settings),
    stateMachineType: StateMachineType.STANDARD,
    definitionBody: DefinitionBody.fromString(readFileSync(DEFINITION, "utf8")),
    definitionSubstitutions: {
      DispatchFunction: dispatch.lambda.functionArn,
      FinalizeFunction: finalize.lambda.functionArn,
    },
    role,
    tracingEnabled: settings.tracing,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const resources = [dispatch.lambda.functionArn, finalize.lambda.functionArn];
  role.addToPrincipalPolicy(new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources }));
  acknowledge(
    machine,
    "SF1",
    "Step Functions keeps the history of an execution for 90 days; a log of it costs as much again",
  );
  if (settings.tracing) acknowledge(role, "IAM5[Resource::*]", "the actions of X-Ray know no resources");
  else acknowledge(machine, "SF2", "the operator has turned tracing off");
  return machine;
}

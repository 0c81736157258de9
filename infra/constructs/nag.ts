import { Stack, Validations } from "aws-cdk-lib";
import { flattenCfnReference } from "cdk-nag/lib/utils/flatten-cfn-reference.js";
import type { IConstruct } from "constructs";

/** Lets a construct pass a rule of cdk-nag, and says why. */
export function acknowledge(scope: IConstruct, rule: string, reason: string): void {
  Validations.of(scope).acknowledge({ id: `AwsSolutions-${rule}`, reason });
}

/** Lets a construct have a right to a resource with a wildcard in it, and says why. */
export function acknowledgeWildcard(scope: IConstruct, resource: string, reason: string): void {
  const text = flattenCfnReference(Stack.of(scope).resolve(resource));
  acknowledge(scope, `IAM5[Resource::${text}]`, reason);
}

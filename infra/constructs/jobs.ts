import { ArnFormat, RemovalPolicy, Stack } from "aws-cdk-lib";
import { CfnSecurityGroup, SubnetType, Vpc } from "aws-cdk-lib/aws-ec2";
import { CfnCluster } from "aws-cdk-lib/aws-ecs";
import { type IRole, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { type InfraSettings, nameOf } from "../settings.ts";
import { acknowledge, acknowledgeWildcard } from "./nag.ts";

/** Pulls of images: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html */
const PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/**
 * Where ECS runs the jobs of a home: a cluster, a network whose containers nobody can reach, the role that ECS starts
 * tasks with, the role of the jobs themselves, which may do nothing, and their logs. Idle it costs nothing.
 */
export class Jobs extends Construct {
  readonly cluster: CfnCluster;
  readonly logGroup: LogGroup;
  /** What ECS does on behalf of a task: it pulls, reads the secrets and writes the log. */
  readonly executionRole: Role;
  /** What a job's own code may do. */
  readonly taskRole: IRole;
  readonly subnets: readonly string[];
  readonly securityGroups: readonly string[];
  /** Below it the values are that one attempt gets and nobody may see. */
  readonly parameterPrefix: string;
  /** The ARNs of these parameters. */
  readonly parameters: string;
  readonly parameterKey: IKey;

  constructor(scope: Construct, id: string, { settings, key }: { settings: InfraSettings; key: IKey }) {
    super(scope, id);
    this.cluster = this.makeCluster(settings);
    this.logGroup = new LogGroup(this, "Logs", {
      retention: settings.logRetentionDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.parameterPrefix = `/longshore/${settings.stage}/attempts/`;
    this.parameters = this.arn("ssm", `parameter${this.parameterPrefix}*`);
    this.parameterKey = key;
    this.executionRole = this.makeExecutionRole(settings);
    this.taskRole = this.makeTaskRole(settings);
    const { subnets, securityGroups } = this.makeNetwork(settings);
    this.subnets = subnets;
    this.securityGroups = securityGroups;
  }

  /** A right to the key for the values of attempts, and for nothing else that is under it. */
  get keyConditions(): Record<string, unknown> {
    return {
      StringEquals: { "kms:ViaService": `ssm.${Stack.of(this).region}.amazonaws.com` },
      // Parameter Store encrypts under the ARN: https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
      StringLike: { "kms:EncryptionContext:PARAMETER_ARN": this.parameters },
    };
  }

  private arn(service: string, resource: string): string {
    return Stack.of(this).formatArn({ service, resource, arnFormat: ArnFormat.NO_RESOURCE_NAME });
  }

  private makeCluster(settings: InfraSettings): CfnCluster {
    const { ecsLaunchType, ecsCapacityProvider, ecsSpotCapacityProvider } = settings;
    const own = [ecsCapacityProvider, ecsSpotCapacityProvider].filter((name) => name !== undefined);
    const cluster = new CfnCluster(this, "Cluster", {
      // Instances of the operator's join it by its name.
      clusterName: nameOf(settings, "jobs"),
      capacityProviders: ecsLaunchType === "FARGATE" ? ["FARGATE", "FARGATE_SPOT"] : [...new Set(own)],
    });
    acknowledge(cluster, "ECS4", "Container Insights costs by the task, and Longshore tells how its tasks are");
    return cluster;
  }

  private makeNetwork(settings: InfraSettings): { subnets: string[]; securityGroups: string[] } {
    const { vpcId, subnetIds = [], securityGroupIds = [] } = settings;
    if (vpcId !== undefined && securityGroupIds.length > 0) {
      return { subnets: subnetIds, securityGroups: securityGroupIds };
    }
    const vpc = vpcId === undefined ? this.makeVpc() : { vpcId, publicSubnets: undefined };
    const group = new CfnSecurityGroup(this, "SecurityGroup", {
      groupDescription: "Longshore: jobs reach out, and nobody reaches them",
      vpcId: vpc.vpcId,
      securityGroupEgress: [{ ipProtocol: "-1", cidrIp: "0.0.0.0/0", description: "to anywhere" }],
    });
    const subnets = vpc.publicSubnets?.map(({ subnetId }) => subnetId) ?? subnetIds;
    return { subnets, securityGroups: [group.attrGroupId] };
  }

  private makeVpc(): Vpc {
    const vpc = new Vpc(this, "Vpc", {
      // A NAT gateway costs by the hour; a task with an address of its own needs none.
      natGateways: 0,
      maxAzs: 2,
      subnetConfiguration: [{ name: "Jobs", subnetType: SubnetType.PUBLIC, cidrMask: 20 }],
    });
    acknowledge(vpc, "VPC7", "a flow log costs by the byte; whoever needs one names a network that has it");
    return vpc;
  }

  private makeExecutionRole(settings: InfraSettings): Role {
    const role = new Role(this, "ExecutionRole", { assumedBy: new ServicePrincipal("ecs-tasks.amazonaws.com") });
    const allow = (actions: string[], resources: string[], conditions?: Record<string, unknown>) =>
      role.addToPolicy(new PolicyStatement({ actions, resources, ...(conditions && { conditions }) }));
    allow(["logs:CreateLogStream", "logs:PutLogEvents"], [this.logGroup.logGroupArn]);
    // What specs name by `ssm:` and `secretsmanager:` ECS reads itself.
    const named = this.arn("ssm", `parameter${settings.ssmPrefix}*`);
    const secrets = this.arn("secretsmanager", `secret:${settings.secretsPrefix}*`);
    allow(["ssm:GetParameters"], [this.parameters, named]);
    allow(["secretsmanager:GetSecretValue"], [secrets]);
    allow(["kms:Decrypt"], [this.parameterKey.keyArn], this.keyConditions);
    acknowledgeWildcard(role, this.parameters, "parameters have the names of attempts");
    for (const all of [named, secrets]) acknowledgeWildcard(role, all, "jobs may name what is below the prefix");
    const repositories = settings.ecrRepositories.map((name) => this.arn("ecr", `repository/${name}`));
    if (repositories.length === 0) return role;
    allow(PULL, repositories);
    allow(["ecr:GetAuthorizationToken"], ["*"]);
    acknowledge(role, "IAM5[Resource::*]", "ecr:GetAuthorizationToken knows no resources");
    for (const one of repositories.filter((arn) => arn.includes("*"))) {
      acknowledgeWildcard(role, one, "the operator names repositories so");
    }
    return role;
  }

  private makeTaskRole({ ecsTaskRoleArn }: InfraSettings): IRole {
    if (ecsTaskRoleArn !== undefined) {
      return Role.fromRoleArn(this, "TaskRole", ecsTaskRoleArn, { mutable: false });
    }
    const { account } = Stack.of(this);
    const conditions = {
      StringEquals: { "aws:SourceAccount": account },
      ArnLike: { "aws:SourceArn": this.arn("ecs", "*") },
    };
    const description = "Longshore: what jobs may do in AWS, which is nothing";
    const assumedBy = new ServicePrincipal("ecs-tasks.amazonaws.com", { conditions });
    return new Role(this, "TaskRole", { description, assumedBy });
  }
}

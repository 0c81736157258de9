import {
  DeleteTaskDefinitionsCommand,
  DeregisterTaskDefinitionCommand,
  DescribeTaskDefinitionCommand,
  ListTaskDefinitionFamiliesCommand,
  ListTaskDefinitionsCommand,
  RegisterTaskDefinitionCommand,
} from "@aws-sdk/client-ecs";
import { awsCode } from "../../aws/errors.ts";
import type { Clients } from "./clients.ts";
import { parameterArn } from "./environment.ts";
import { attemptOfFamily, familyPrefix } from "./names.ts";
import type { EcsRuntimeSettings } from "./options.ts";
import { ecsFailure, lacksDefinition, refusal } from "./refusals.ts";
import type { Plan } from "./spec.ts";

/** As many as one call deletes, of either. */
const MAX_DELETED = 10;
const MAX_KNOWN = 1_000;

/** What an attempt of this home has that is no task. */
export interface Belonging {
  family: string;
  externalName: string;
  jobId: string;
  attempt: number;
}

/** Task definitions and parameters. */
export interface Belongings {
  /** Writes what the attempt needs before it can be started; resolves with the ARN of the revision to start. */
  prepare(plan: Plan, secretValues: readonly string[]): Promise<string>;
  /** Forgets that a shared definition is there. */
  forget(plan: Plan): void;
  /** What is left of attempts of this home; with a name, of that one. */
  left(externalName?: string): AsyncGenerator<Belonging>;
  /** Removes the attempt's own parameters and definitions. Idempotent. */
  remove(family: string): Promise<void>;
}

/** @param settings.parameterPrefix bounds what is ever deleted of the account's parameters, with the home's id. */
export function createBelongings(clients: Clients, settings: EcsRuntimeSettings): Belongings {
  const { ecs } = clients;
  /** Shared definitions that were found or made, by family. */
  const known = new Map<string, Promise<string>>();
  const ownParameters = parameterArn(`${settings.parameterPrefix}${settings.homeId}/`, settings.clusterArn);

  async function register(definition: Plan["definition"]): Promise<string> {
    const { taskDefinition } = await ecs.send(new RegisterTaskDefinitionCommand(definition));
    return taskDefinition?.taskDefinitionArn ?? definition.family;
  }

  /** One that is there already, since its name is the hash of all that it says. */
  async function shared(definition: Plan["definition"]): Promise<string> {
    try {
      const input = { taskDefinition: definition.family };
      const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand(input));
      if (taskDefinition?.status === "ACTIVE" && taskDefinition.taskDefinitionArn)
        return taskDefinition.taskDefinitionArn;
    } catch (thrown) {
      if (awsCode(thrown) !== "ClientException") throw thrown;
    }
    return await register(definition);
  }

  async function write(parameters: Plan["parameters"], secretValues: readonly string[]): Promise<void> {
    if (parameters.length === 0) return;
    const { PutParameterCommand } = await import("@aws-sdk/client-ssm");
    const client = await clients.ssm();
    const KeyId = settings.parameterKeyId;
    for (const { parameter, value, name } of parameters) {
      const input = {
        Name: parameter,
        Value: value,
        Type: "SecureString" as const,
        // A launch that is tried again writes the same once more. What is longer than 4 KiB needs an advanced one.
        Overwrite: true,
        Tier: "Intelligent-Tiering" as const,
        ...(KeyId === undefined ? {} : { KeyId }),
      };
      try {
        await client.send(new PutParameterCommand(input));
      } catch (thrown) {
        throw refusal(`the parameter for ${name}`, thrown, secretValues);
      }
    }
  }

  async function revisions(family: string): Promise<string[]> {
    const found: string[] = [];
    let nextToken: string | undefined;
    do {
      const input = {
        familyPrefix: family,
        status: "ACTIVE" as const,
        ...(nextToken === undefined ? {} : { nextToken }),
      };
      const answer = await ecs.send(new ListTaskDefinitionsCommand(input));
      found.push(...(answer.taskDefinitionArns ?? []));
      nextToken = answer.nextToken;
    } while (nextToken !== undefined);
    return found;
  }

  /** The names of the parameters of this home that a definition refers to. */
  async function parametersOf(arn: string): Promise<string[]> {
    const answer = await unlessGone(ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn })));
    const secrets = answer?.taskDefinition?.containerDefinitions?.flatMap((one) => one.secrets ?? []) ?? [];
    const own = secrets
      .map(({ valueFrom }) => valueFrom ?? "")
      .filter((valueFrom) => valueFrom.startsWith(ownParameters));
    return own.map((valueFrom) => valueFrom.slice(valueFrom.indexOf(":parameter") + ":parameter".length));
  }

  async function deleteParameters(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { DeleteParametersCommand } = await import("@aws-sdk/client-ssm");
    const client = await clients.ssm();
    for (let at = 0; at < names.length; at += MAX_DELETED) {
      await client.send(new DeleteParametersCommand({ Names: names.slice(at, at + MAX_DELETED) }));
    }
  }

  async function deleteRevisions(arns: readonly string[]): Promise<void> {
    for (const taskDefinition of arns) {
      await unlessGone(ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition })));
    }
    for (let at = 0; at < arns.length; at += MAX_DELETED) {
      await ecs.send(new DeleteTaskDefinitionsCommand({ taskDefinitions: arns.slice(at, at + MAX_DELETED) }));
    }
  }

  return {
    async prepare({ definition, own, parameters }, secretValues) {
      try {
        // The definition first, and gone last: whoever finds it knows of the parameters.
        if (own) {
          const arn = await register(definition);
          await write(parameters, secretValues);
          return arn;
        }
        const arn = known.get(definition.family) ?? shared(definition);
        if (known.size >= MAX_KNOWN) known.clear();
        known.set(definition.family, arn);
        return await arn;
      } catch (thrown) {
        known.delete(definition.family);
        throw refusal("the task definition", thrown, secretValues);
      }
    },
    forget: ({ definition }) => void known.delete(definition.family),

    async *left(externalName) {
      const { homeId } = settings;
      let nextToken: string | undefined;
      do {
        const input = {
          familyPrefix: familyPrefix(homeId, externalName),
          status: "ACTIVE" as const,
          ...(nextToken === undefined ? {} : { nextToken }),
        };
        const answer = await ecs.send(new ListTaskDefinitionFamiliesCommand(input)).catch((thrown: unknown) => {
          throw ecsFailure("listing task definitions", thrown);
        });
        for (const family of answer.families ?? []) {
          const of = attemptOfFamily(family, homeId);
          if (of !== null) yield { family, ...of };
        }
        nextToken = answer.nextToken;
      } while (nextToken !== undefined);
    },

    async remove(family) {
      if (attemptOfFamily(family, settings.homeId) === null) return;
      try {
        const arns = await revisions(family);
        const names = new Set<string>();
        for (const arn of arns) for (const name of await parametersOf(arn)) names.add(name);
        await deleteParameters([...names]);
        await deleteRevisions(arns);
      } catch (thrown) {
        throw ecsFailure("removing a task definition", thrown);
      }
    },
  };
}

/** The answer about a definition; undefined when somebody else has removed it meanwhile. */
async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    if (lacksDefinition(thrown)) return undefined;
    throw thrown;
  }
}

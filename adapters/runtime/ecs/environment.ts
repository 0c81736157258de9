import type { Launch } from "../../../engine/ports/runtime.ts";
import { containsSecret, isSecretVariable } from "../../../engine/spec/secret-values.ts";
import { parameterPath } from "./names.ts";
import type { EcsRuntimeSettings } from "./options.ts";
import { placeOf } from "./options.ts";

/** How a variable's value gets into the container. */
export interface Environment {
  /** As it is: DescribeTasks and DescribeTaskDefinition show it. */
  plain: { name: string; value: string }[];
  /** From Systems Manager or Secrets Manager, where the spec's reference is to one of them. */
  secrets: { name: string; valueFrom: string }[];
  /** From a SecureString parameter of the attempt, which has to be written first. */
  parameters: { name: string; parameter: string; valueFrom: string; value: string }[];
}

// A parameter's own name, without a version or a label behind it: ECS does not promise to understand these.
const PARAMETER = /^[A-Za-z0-9_.\-/]+$/;
const SECRET = /^([A-Za-z0-9/_+=.@-]{1,512})(?::([^:]*))?(?::([^:]*))?(?::([^:]*))?$/;
/** What an ARN of Secrets Manager ends with: a name that ends so cannot be told from another with such an ending. */
const RANDOM_ENDING = /-[A-Za-z0-9]{6}$/;

type Home = Pick<EcsRuntimeSettings, "clusterArn" | "homeId" | "parameterPrefix">;

/**
 * The environment of a launch. What is sensitive by its name, its value or the spec's word, what came from a secret, and
 * what holds such a value is never plain. An empty value hides nothing, and a parameter cannot be empty.
 */
export function environmentOf(launch: Launch, home: Home): Environment {
  const { spec, env, secretValues } = launch;
  const found: Environment = { plain: [], secrets: [], parameters: [] };
  const path = parameterPath(home.parameterPrefix, home.homeId, launch.externalName);
  for (const name of Object.keys(env).sort()) {
    const value = env[name] ?? "";
    const from = spec.secrets[name]?.from;
    const valueFrom = from === undefined ? null : nativeReference(from, home.clusterArn);
    const isSecret = from !== undefined || isSecretVariable(spec, name, value) || containsSecret(value, secretValues);
    if (valueFrom !== null) found.secrets.push({ name, valueFrom });
    else if (!isSecret || value === "") found.plain.push({ name, value });
    else {
      // Numbered, for a variable may have any name.
      const parameter = `${path}${found.parameters.length}`;
      found.parameters.push({ name, parameter, valueFrom: parameterArn(parameter, home.clusterArn), value });
    }
  }
  return found;
}

/** The ARN of a parameter beside the cluster. */
export function parameterArn(name: string, clusterArn: string): string {
  const { partition, region, account } = placeOf(clusterArn);
  return `arn:${partition}:ssm:${region}:${account}:parameter${name.startsWith("/") ? "" : "/"}${name}`;
}

/** Where ECS itself reads the secret behind a spec's reference; null when it cannot, and Longshore has to hand it over. */
export function nativeReference(from: string, clusterArn: string): string | null {
  const [scheme, ...rest] = from.split(":");
  const name = rest.join(":");
  if (scheme === "ssm") return PARAMETER.test(name) ? parameterArn(name, clusterArn) : null;
  return scheme === "secretsmanager" ? secretArn(name, clusterArn) : null;
}

/** `NAME[:JSON_KEY[:STAGE[:VERSION_ID]]]` as ECS has it: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html */
function secretArn(name: string, clusterArn: string): string | null {
  const [, id, key = "", stage = "", version = ""] = SECRET.exec(name) ?? [];
  if (id === undefined || RANDOM_ENDING.test(id)) return null;
  const { partition, region, account } = placeOf(clusterArn);
  const arn = `arn:${partition}:secretsmanager:${region}:${account}:secret:${id}`;
  return key + stage + version === "" ? arn : `${arn}:${key}:${stage}:${version}`;
}

/** The secret with a registry's credentials, which ECS takes as `{ username, password }` and whole; null for any other. */
export function registrySecret(from: string, clusterArn: string): string | null {
  const [scheme, name = "", ...rest] = from.split(":");
  return scheme === "secretsmanager" && rest.length === 0 ? secretArn(name, clusterArn) : null;
}

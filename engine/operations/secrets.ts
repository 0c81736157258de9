import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import type { RegistryAuth } from "../ports/runtime.ts";
import type { JobSpec } from "../spec/schema.ts";

/** Resolves `scheme:name` with the source of that scheme. */
async function resolve(ctx: EngineContext, reference: string): Promise<string> {
  const colon = reference.indexOf(":");
  const scheme = reference.slice(0, colon);
  const source = ctx.secrets.get(scheme);
  if (source === undefined) {
    throw new LongshoreError("AUTH", `secrets from "${scheme}:" are not available in this home`);
  }
  return await source.resolve(reference.slice(colon + 1));
}

/** The values of the spec's secret references, by environment name. Never stored. */
export async function resolveSecrets(ctx: EngineContext, spec: JobSpec): Promise<Record<string, string>> {
  const entries = Object.entries(spec.secrets).map(
    async ([name, { from }]) => [name, await resolve(ctx, from)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** The registry credentials behind the spec's reference: JSON `{ username, password }`, `user:password`, or its base64. */
export async function resolveRegistryAuth(ctx: EngineContext, spec: JobSpec): Promise<RegistryAuth | undefined> {
  if (spec.registryAuth === undefined) return undefined;
  const value = await resolve(ctx, spec.registryAuth.from);
  const auth = parseAuth(value) ?? parseAuth(Buffer.from(value, "base64").toString("utf8"));
  if (auth !== undefined) return auth;
  throw new LongshoreError("AUTH", `registryAuth is neither JSON with username and password nor "user:password"`);
}

function parseAuth(text: string): RegistryAuth | undefined {
  if (text.startsWith("{")) return parseJsonAuth(text);
  const colon = text.indexOf(":");
  if (colon < 1 || /[^\x20-\x7e]/.test(text)) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function parseJsonAuth(text: string): RegistryAuth | undefined {
  try {
    const { username, password, serveraddress } = JSON.parse(text) as Record<string, unknown>;
    if (typeof username !== "string" || typeof password !== "string") return undefined;
    return typeof serveraddress === "string"
      ? { username, password, serverAddress: serveraddress }
      : { username, password };
  } catch {
    // Not JSON: the caller tries the other forms and says so when none fits.
    return undefined;
  }
}

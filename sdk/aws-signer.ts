import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsAuth, AwsCredentialSource, AwsCredentials } from "./auth.ts";
import { CredentialsError } from "./errors.ts";
import { encode } from "./query.ts";
import type { UnsignedRequest } from "./request.ts";

// Loaded with the first request that is signed: it brings AWS's libraries with it.

/** Signs requests with credentials that are fetched again before they expire. */
export interface AwsSigner {
  /** All the headers to send. @throws CredentialsError when there are no credentials. */
  sign(request: UnsignedRequest, region: string): Promise<Record<string, string>>;
  /** The address with the signature in its query, good for five minutes. @throws CredentialsError */
  presign(url: URL, region: string): Promise<URL>;
  /**
   * Called with headers that were refused: fetches the credentials once more. Resolves with whether these are others.
   * @throws CredentialsError
   */
  renew(refused: Record<string, string>): Promise<boolean>;
}

const PRESIGNED_SECONDS = 300;

/** The chain says some things on the console by itself; what a program prints is its own matter. */
const SILENT = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Makes a signer; without credentials of the caller's own it asks AWS's usual chain, in the process's environment. */
export function createAwsSigner(auth: AwsAuth): AwsSigner {
  const source = sourceOf(auth);
  const fetched = async (forceRefresh = false) => {
    try {
      return checked(await source({ forceRefresh }));
    } catch (thrown) {
      throw refusalOf(thrown);
    }
  };
  const signerFor = async (region: string) =>
    new SignatureV4({
      service: "execute-api",
      region,
      credentials: await fetched(),
      sha256: Sha256,
      // The body is signed anyway.
      applyChecksum: false,
    });
  return {
    async presign(url, region) {
      const signer = await signerFor(region);
      const { protocol, hostname, pathname: path, host } = url;
      const request = { method: "GET", protocol, hostname, path, query: queryOf(url), headers: { host } };
      const { query = {} } = await signer.presign(request, { expiresIn: PRESIGNED_SECONDS });
      const signed = new URL(url);
      signed.search = Object.entries(query)
        .flatMap(([name, value]) => [value ?? ""].flat().map((one) => `${encode(name)}=${encode(one)}`))
        .join("&");
      return signed;
    },
    async sign({ method, url, headers, body }, region) {
      const signer = await signerFor(region);
      const { host, ...signed } = (
        await signer.sign(
          {
            method,
            protocol: url.protocol,
            hostname: url.hostname,
            path: url.pathname,
            query: queryOf(url),
            headers: { ...headers, host: url.host },
            body,
          },
          { unsignableHeaders: unsignable(headers) },
        )
      ).headers;
      // fetch writes the same `host` by itself.
      return signed;
    },
    async renew(refused) {
      const { accessKeyId, sessionToken } = await fetched(true);
      const isSameKey = refused.authorization?.includes(`Credential=${accessKeyId}/`);
      return !isSameKey || refused["x-amz-security-token"] !== sessionToken;
    },
  };
}

function sourceOf({ credentials }: AwsAuth): AwsCredentialSource {
  if (typeof credentials === "function") return credentials;
  if (credentials !== undefined) return async () => credentials;
  let chain: Promise<AwsCredentialSource> | undefined;
  return async (options) => {
    chain ??= import("@aws-sdk/credential-providers").then(
      ({ fromNodeProviderChain }) => fromNodeProviderChain({ logger: SILENT }) as AwsCredentialSource,
    );
    return await (await chain)(options);
  };
}

/** @throws CredentialsError for what can be no header: the error of whoever sends it would quote it. */
function checked(credentials: AwsCredentials): AwsCredentials {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const texts: unknown[] = [accessKeyId, secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken])];
  if (texts.every((text) => typeof text === "string" && /^[\x21-\x7e]+$/.test(text))) return credentials;
  throw new CredentialsError("the AWS credentials are malformed: they hold spaces, line ends or nothing at all");
}

/**
 * Says why there are no credentials. The words of others are not repeated, not even as a cause: a `credential_process`
 * that fails is quoted there with its command line and all that it wrote.
 */
function refusalOf(thrown: unknown): CredentialsError {
  if (thrown instanceof CredentialsError) return thrown;
  const said = thrown instanceof Error ? thrown.message : "";
  if (/\baws (sso )?login\b/.test(said)) {
    return new CredentialsError("the AWS session has expired: sign in again with `aws sso login` or `aws login`");
  }
  if (/Could not load credentials from any providers/.test(said)) {
    const nobody = "not from the environment, the profile, SSO, web identity, the container or the instance";
    return new CredentialsError(`there are no AWS credentials: ${nobody}`);
  }
  const name = thrown instanceof Error && /^\w+$/.test(thrown.name) ? ` (${thrown.name})` : "";
  const help = "`aws sts get-caller-identity` shows what is wrong";
  return new CredentialsError(`the AWS credentials cannot be had${name}: ${help}`);
}

/** A header that is not plain ASCII leaves as other bytes than the ones that would be signed. */
function unsignable(headers: Record<string, string>): Set<string> {
  const odd = Object.entries(headers).filter(([, value]) => !/^[\x20-\x7e]*$/.test(value));
  return new Set(odd.map(([name]) => name.toLowerCase()));
}

function queryOf({ searchParams }: URL): Record<string, string[]> {
  return Object.fromEntries([...searchParams.keys()].map((name) => [name, searchParams.getAll(name)]));
}

/** SHA-256, or HMAC with SHA-256 where there is a key; a class, since the signer constructs it. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      key === undefined ? createHash("sha256") : createHmac("sha256", key as string | NodeJS.ArrayBufferView);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error("a digest is made once");
  }
}

function ignore(): void {
  return undefined;
}

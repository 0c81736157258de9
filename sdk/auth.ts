/** What signs a request: the shape of AWS's own credentials. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of credentials that are lent for a time. */
  sessionToken?: string;
  expiration?: Date;
}

/** Gives credentials each time it is asked, from a store of its own or anew; `forceRefresh`: those it has were refused. */
export type AwsCredentialSource = (options?: { forceRefresh?: boolean }) => Promise<AwsCredentials>;

/** Requests are signed for an API behind AWS's IAM (Signature Version 4, service `execute-api`). */
export interface AwsAuth {
  /** Of the API, where its host does not tell it: behind a domain of the operator's own. */
  region?: string;
  /** Default: AWS's usual chain: environment, profile, SSO, web identity, container, instance. */
  credentials?: AwsCredentials | AwsCredentialSource;
}

/** `auto`: what an `execute-api` host of AWS gets is signed, and nothing else. */
export type Auth = "auto" | "none" | AwsAuth;

/** AWS's own domains, none of which anybody else can have: a look-alike must get no signature. */
const EXECUTE_API =
  /^[a-z0-9-]+\.execute-api(?:-fips)?\.([a-z]{2,4}(?:-[a-z]+)+-\d+)\.(?:(?:vpce\.)?amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$/;

/** The region that a host of API Gateway names; undefined for any other host. */
function regionOfHost({ hostname }: URL): string | undefined {
  return EXECUTE_API.exec(hostname)?.[1];
}

/**
 * The region for which requests to an address are signed; undefined when they are not.
 * @throws TypeError when no region is known, or when what is signed would not be encrypted: a session token, and what
 * specs hold, would be there for everybody on the way to read. Loopback has no way.
 */
export function signingRegion(url: URL, auth: Auth): string | undefined {
  const told = regionOfHost(url);
  if (auth === "none" || (auth === "auto" && told === undefined)) return undefined;
  const region = told ?? (auth as AwsAuth).region;
  if (region === undefined)
    throw new TypeError("the endpoint's host tells no AWS region to sign for: say it (auth.region, AWS_REGION)");
  if (!/^[a-z0-9-]+$/.test(region)) throw new TypeError("the AWS region to sign for at the endpoint is none");
  if (url.protocol !== "https:" && !isLoopback(url))
    throw new TypeError("the endpoint of signed requests must be https");
  return region;
}

/** Whether an address is of this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

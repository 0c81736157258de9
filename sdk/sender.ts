import { type Auth, signingRegion } from "./auth.ts";
import type { AwsSigner } from "./aws-signer.ts";
import { isNotAuthenticated } from "./refusals.ts";
import type { TransportOptions, UnsignedRequest } from "./request.ts";

/** Sends a complete request; `manual`: a redirect is an answer like any other. */
export type Dispatch = (request: UnsignedRequest, redirect: "follow" | "manual") => Promise<Response>;

/** An answer, and who signed its request: `aws` for its IAM, the caller's own `sign`, or nobody. */
export interface Sent {
  response: Response;
  signedBy: "aws" | "caller" | "nobody";
}

export interface Sender {
  /** @throws TypeError for an address that cannot be signed for as the caller wants. */
  check(url: URL): void;
  /** Signs where that is wanted, and sends. @throws CredentialsError, and what `check` and `dispatch` throw. */
  send(request: UnsignedRequest, dispatch: Dispatch): Promise<Sent>;
  /**
   * The address of a WebSocket, which takes no headers, with a signature in its query where one is wanted. `isGiven`: it
   * was given for this, and is not just below the endpoint.
   * @throws CredentialsError; TypeError for what API Gateway could not answer.
   */
  presign(url: URL, isGiven: boolean): Promise<URL>;
}

/**
 * Makes what stands between a call and the network. What is signed follows no redirect: a signature, and the session
 * token that comes with it, are for the one address that they were made for.
 */
export function createSender({ auth = "auto", sign }: Pick<TransportOptions, "auth" | "sign">): Sender {
  if (sign !== undefined) {
    return {
      check: () => undefined,
      async send(request, dispatch) {
        const signed = { ...request, headers: await sign(request) };
        return { response: await dispatch(signed, "manual"), signedBy: "caller" };
      },
      presign: async (url) => url,
    };
  }
  let signer: Promise<AwsSigner> | undefined;
  return {
    check: (url) => void signingRegion(url, auth),
    async send(request, dispatch) {
      const region = signingRegion(request.url, auth);
      if (region === undefined) return { response: await dispatch(request, "follow"), signedBy: "nobody" };
      signer ??= loadSigner(auth);
      return { response: await sendSigned(await signer, { ...request, region }, dispatch), signedBy: "aws" };
    },
    async presign(url, isGiven) {
      const region = signingRegion(url, auth);
      if (region === undefined) return url;
      if (!isGiven) throw new TypeError("the WebSockets of a home in AWS are at an address of their own: logStreamUrl");
      signer ??= loadSigner(auth);
      return await (await signer).presign(url, region);
    },
  };
}

/** AWS's libraries are for those who sign: nobody else waits until they are loaded. */
async function loadSigner(auth: Auth): Promise<AwsSigner> {
  const { createAwsSigner } = await import("./aws-signer.ts");
  return createAwsSigner(typeof auth === "object" ? auth : {});
}

async function sendSigned(
  signer: AwsSigner,
  { region, ...request }: UnsignedRequest & { region: string },
  dispatch: Dispatch,
): Promise<Response> {
  const headers = await signer.sign(request, region);
  const response = await dispatch({ ...request, headers }, "manual");
  // What API Gateway does not let in has done nothing yet: with other credentials any call may be made again.
  if (!isNotAuthenticated(response) || !(await signer.renew(headers))) return response;
  await response.body?.cancel();
  return await dispatch({ ...request, headers: await signer.sign(request, region) }, "manual");
}

export type { Auth, AwsAuth, AwsCredentialSource, AwsCredentials } from "./auth.ts";
export {
  type CallOptions,
  type ClientOptions,
  createClient,
  type JobFilter,
  type LogFilter,
  type LongshoreClient,
  type PageFilter,
  type SubmitOptions,
  type Trace,
} from "./client.ts";
export { ApiError, ConnectionError, CredentialsError } from "./errors.ts";
export type { FollowOptions } from "./follow.ts";
export type { EndpointSource, TransportOptions, UnsignedRequest } from "./request.ts";
export type * from "./types.ts";

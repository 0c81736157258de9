export type { Auth, AwsAuth, AwsCredentialSource, AwsCredentials } from "./auth.ts";
export {
  type CallOptions,
  type ClientOptions,
  createClient,
  type JobFilter,
  type LogFilter,
  type LogFollowOptions,
  type LongshoreClient,
  type PageFilter,
  type RunCleanupQuery,
  type RunFilter,
  type SubmitOptions,
  type Trace,
} from "./client.ts";
export type { DownloadOptions } from "./download.ts";
export { ApiError, ChecksumError, ConnectionError, CredentialsError } from "./errors.ts";
export type { FollowOptions } from "./follow.ts";
export type { EndpointSource, TransportOptions, UnsignedRequest } from "./request.ts";
export type * from "./types.ts";

// What every AWS driver shares. It is no adapter itself: the import rules let all adapters use it.

/** How long a driver waits for a service, and how often it asks. */
interface Patience {
  /** For a connection, ms. */
  connectMs: number;
  /** For the answer's head, ms; a body that is streamed has its own bound below. */
  requestMs: number;
  /** How long a connection may be silent while bytes are streamed, ms; default: unbounded beyond `requestMs`. */
  silentMs?: number;
  /** Tries of one call in all, the first included. */
  attempts: number;
}

// A call that hangs must fail long before the function that made it does: the first retry is what helps then. The slowest
// honest answers are a transaction of 100 items (below 0.3 s), a key of KMS (below 0.2 s), and a part of an upload.
const PATIENCE = {
  apiGateway: { connectMs: 1_000, requestMs: 2_000, attempts: 3 },
  dynamodb: { connectMs: 1_000, requestMs: 2_000, attempts: 4 },
  // A launch of many tasks is throttled for seconds, and a throttled call has done nothing.
  ecs: { connectMs: 1_000, requestMs: 10_000, attempts: 5 },
  eventbridge: { connectMs: 1_000, requestMs: 3_000, attempts: 3 },
  kms: { connectMs: 1_000, requestMs: 2_000, attempts: 4 },
  lambda: { connectMs: 1_000, requestMs: 3_000, attempts: 4 },
  logs: { connectMs: 1_000, requestMs: 5_000, attempts: 4 },
  s3: { connectMs: 2_000, requestMs: 30_000, silentMs: 15_000, attempts: 4 },
  secretsManager: { connectMs: 1_000, requestMs: 3_000, attempts: 4 },
  sfn: { connectMs: 1_000, requestMs: 3_000, attempts: 4 },
  ssm: { connectMs: 1_000, requestMs: 3_000, attempts: 4 },
} as const satisfies Record<string, Patience>;

/** As many as one process of this program has under way at most; the SDK's own default would warn below it. */
const MAX_SOCKETS = 200;

/** The part of a client's settings that Longshore decides; the SDK itself finds region, credentials and endpoint. */
export interface ClientDefaults {
  retryMode: "standard";
  maxAttempts: number;
  requestHandler: {
    connectionTimeout: number;
    requestTimeout: number;
    throwOnRequestTimeout: true;
    socketTimeout?: number;
    httpsAgent: { keepAlive: true; maxSockets: number };
    httpAgent: { keepAlive: true; maxSockets: number };
  };
}

/**
 * Settings of the client of a service. A driver makes one client and keeps it, so there is one for each service and
 * process. The retry mode is `standard` (jittered backoff and a budget of retries), not `adaptive`: that one slows every
 * call of the client down when one hot item is throttled, and its own docs advise against it for shared clients:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 */
export function clientDefaults(service: keyof typeof PATIENCE): ClientDefaults {
  const { connectMs, requestMs, attempts, silentMs }: Patience = PATIENCE[service];
  return {
    retryMode: "standard",
    maxAttempts: attempts,
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: requestMs,
      throwOnRequestTimeout: true,
      ...(silentMs === undefined ? {} : { socketTimeout: silentMs }),
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
    },
  };
}

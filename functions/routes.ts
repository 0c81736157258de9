/** Every route of the API: method and path under the stage; what `{name+}` stands for may hold slashes. The front doors and the API's description read it. */
export const ROUTES = [
  ["POST", "/v1/jobs"],
  ["GET", "/v1/jobs"],
  ["POST", "/v1/jobs/batch"],
  ["GET", "/v1/jobs/{id}"],
  ["POST", "/v1/jobs/{id}/cancel"],
  ["POST", "/v1/jobs/{id}/retry"],
  ["GET", "/v1/jobs/{id}/events"],
  ["GET", "/v1/jobs/{id}/logs"],
  ["GET", "/v1/jobs/{id}/logs/stream"],
  ["GET", "/v1/jobs/{id}/artifacts"],
  ["GET", "/v1/jobs/{id}/artifacts/{name+}"],
  ["HEAD", "/v1/jobs/{id}/artifacts/{name+}"],
  ["GET", "/v1/jobs/{id}/cost"],
  ["GET", "/v1/runs"],
  ["POST", "/v1/runs/cleanup"],
  ["GET", "/v1/runs/{id}"],
  ["DELETE", "/v1/runs/{id}"],
  ["GET", "/v1/runs/{id}/receipt"],
  ["GET", "/v1/runs/{id}/summary"],
  ["GET", "/v1/runs/{id}/events"],
  ["GET", "/v1/dead-letters"],
  ["GET", "/v1/dead-letters/{id}"],
  ["DELETE", "/v1/dead-letters/{id}"],
  ["POST", "/v1/dead-letters/{id}/replay"],
  ["GET", "/v1/runtimes"],
  ["GET", "/v1/runtimes/{name}"],
  ["GET", "/v1/usage"],
  ["GET", "/v1/health"],
  ["GET", "/v1/openapi.json"],
] as const;

/** What only the local home has, answered by its door itself. */
export const LOCAL_ROUTES = [["GET", "/v1/metrics"]] as const;

const PATTERNS = ROUTES.map(([method, path]) => ({
  method,
  path,
  literal: !path.includes("{"),
  pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)").replace(/\{(\w+)\+\}/g, "(?<$1>.+?)")}/?$`),
}));

/**
 * The methods that a path can be called with (none for an unknown path), the parameters in it, still encoded, and the path
 * of its routes.
 */
export function matchPath(path: string): {
  methods: string[];
  parameters: Record<string, string>;
  route: string | undefined;
} {
  const found = PATTERNS.filter(({ pattern }) => pattern.test(path));
  // `/v1/jobs/batch` also looks like a job's path; what is written out goes first.
  const literal = found.filter((route) => route.literal);
  const matching = literal.length > 0 ? literal : found;
  const parameters = matching[0]?.pattern.exec(path)?.groups ?? {};
  return { methods: matching.map(({ method }) => method), parameters: { ...parameters }, route: matching[0]?.path };
}

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { AwsAuth, AwsCredentials } from "../../sdk/auth.ts";
import { createClient, type LongshoreClient } from "../../sdk/client.ts";
import { ApiError, CredentialsError } from "../../sdk/errors.ts";
import { describeWith } from "../lab/counterparts.ts";
import type { Identity } from "../lab/sigv4.ts";
import { aJob, aLine, JOB_ID, json, openStream, sse } from "./contract-server.ts";
import { ALICE, type IamServer, SESSION, startIamServer } from "./iam-server.ts";

const region = "us-east-1";
/** What a query may look like on the wire: encoded strictly, and never with a plus for a space. */
const STRICT = /^[A-Za-z0-9\-_.~%=&]*$/;
const ended = aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 });

describeWith("aws", "a client of an API behind IAM", () => {
  let server: IamServer;
  let client: LongshoreClient;

  beforeAll(async () => {
    server = await startIamServer();
  });
  afterAll(async () => {
    await server?.close();
  });
  beforeEach(() => {
    server.received.length = 0;
    server.check.identities.clear();
    for (const one of [ALICE, SESSION]) server.check.identities.set(one.accessKeyId, one);
    server.answer = (_, response) => json(response, { items: [], nextCursor: null });
    client = signing({ region, credentials: SESSION });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function signing(auth: AwsAuth, more: Partial<Parameters<typeof createClient>[0]> = {}): LongshoreClient {
    return createClient({ endpoint: server.url, auth, ...more });
  }
  const refused = (work: Promise<unknown>): Promise<ApiError> =>
    work.then(
      () => expect.fail("it was let in"),
      (error: unknown) => {
        expect(error).toBeInstanceOf(ApiError);
        return error as ApiError;
      },
    );

  it("is let in with every call, whatever is in path, query, headers and body", async () => {
    const odd = "a b/c?d=e&f#g%2F+*'()!~@:;,$ü€日本💣..//";
    const calls = [
      client.jobs.get("..%2F..%2Fhealth"),
      client.jobs.cancel(JOB_ID),
      client.jobs.retry(JOB_ID),
      client.jobs.cost(odd),
      client.runtimes.get(odd),
      client.runtimes.list(),
      client.deadLetters.remove(odd),
      client.deadLetters.replay(odd, { idempotencyKey: "a/b+c=d,e;f!~" }),
      client.jobs.listPage({ status: ["FAILED", "CANCELLED", "FAILED"], labels: { [odd]: odd, "": "" }, name: odd }),
      client.jobs.listPage({ cursor: "", createdAfter: "2026-01-01T00:00:00+02:00", limit: 200 }),
      Array.fromAsync(client.jobs.logs(JOB_ID, { tail: 3, streams: ["stdout", "stderr"], since: "2026-01-01" })),
      client.jobs.submit({ name: "x", image: odd, env: { [odd]: "\ud800", A: "\0\u2028" } }, { idempotencyKey: "k" }),
      client.jobs.submitBatch([{}, { name: "ü" }]),
      client.jobs.dryRun({}),
      client.health(),
    ];
    await Promise.all(calls);
    expect(server.received).toHaveLength(calls.length);
    expect(new Set(server.received.map(({ userArn }) => userArn))).toEqual(new Set([SESSION.userArn]));
    for (const { target } of server.received) expect(target.replace(/^[^?]*\??/, "")).toMatch(STRICT);
    const [sent] = server.received.filter(({ target }) => target.startsWith("/api/v1/jobs?status"));
    const query = new URL(sent?.target ?? "", server.url).searchParams;
    expect(query.getAll("status")).toEqual(["FAILED", "CANCELLED", "FAILED"]);
    expect(query.getAll("label")).toEqual([`${odd}:${odd}`, ":"]);
  });

  it("is let in with generated names, labels, keys and headers", async () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const segment = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
      .filter((name) => !/^\.\.?$/.test(name));
    const header = fc.stringMatching(/^[\x21-\x7e]( {0,3}[\x21-\x7e]){0,20}$/);
    const anything = fc.record({ name: segment, labels: fc.dictionary(text, text), key: header, value: header });
    await fc.assert(
      fc.asyncProperty(anything, async ({ name, labels, key, value }) => {
        const one = signing({ region, credentials: ALICE }, { headers: { "X-Team": value, ACCEPT: "text/x" } });
        await one.runtimes.get(name);
        await one.jobs.listPage({ labels, name });
        await one.jobs.submit({ labels }, { idempotencyKey: key });
      }),
      { numRuns: 30 },
    );
  });

  it("is let in with headers that are no ASCII: they are not signed", async () => {
    await signing({ region, credentials: ALICE }, { headers: { "x-team": "équipe" } }).health();
    expect(server.received[0]?.headers.authorization).not.toContain("x-team");
  });

  it("is not let in when anybody has changed what it sent", async () => {
    const changes: [string, (url: URL, init: RequestInit) => [URL, RequestInit]][] = [
      ["body", (url, init) => [url, { ...init, body: `${init.body} ` }]],
      ["query", (url, init) => [new URL(`${url}?dryRun=true`), init]],
      ["path", (url, init) => [new URL(`${url}/batch`), init]],
      ["method", (url, init) => [url, { ...init, method: "PUT" }]],
      ["key", (url, init) => [url, { ...init, headers: { ...init.headers, "idempotency-key": "other" } }]],
      ["token", (url, init) => [url, { ...init, headers: { ...init.headers, "x-amz-security-token": "other" } }]],
    ];
    for (const [what, change] of changes) {
      const tampering = signing(
        { region, credentials: SESSION },
        { fetch: (url, init) => fetch(...change(url as URL, init ?? {})) },
      );
      const error = await refused(tampering.jobs.submit({ name: "a" }));
      expect(error, what).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    }
    expect(server.received).toEqual([]);
  });

  it.each<[string, AwsAuth | "none", RegExp]>([
    ["a wrong secret", { region, credentials: { ...ALICE, secretAccessKey: "wrong/secret" } }, /get-caller-identity/],
    [
      "a key that nobody knows",
      { region, credentials: { ...ALICE, accessKeyId: "AKIANOBODY" } },
      /get-caller-identity/,
    ],
    ["another region", { region: "eu-west-1", credentials: ALICE }, /region must be that of the API/],
    ["no signature", "none", /LONGSHORE_AUTH=aws/],
  ])("hears of %s, with what may help, and says nothing of the credentials", async (_, auth, hint) => {
    const error = await refused(createClient({ endpoint: server.url, auth }).jobs.retry(JOB_ID));
    expect(error).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    expect(error.hints.join("\n")).toMatch(hint);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(
      /secret\+key|wrong\/secret|session\+token|Signature=/,
    );
  });

  it("hears that its caller may not do this", async () => {
    server.check.identities.set(ALICE.accessKeyId, { ...ALICE, mayCall: (method) => method === "GET" });
    client = signing({ region, credentials: ALICE });
    await client.jobs.listPage();
    const error = await refused(client.jobs.cancel(JOB_ID));
    expect(error).toMatchObject({
      status: 403,
      code: "FORBIDDEN",
      message: "the caller's policies do not allow this call",
    });
    expect(error.hints.join()).toMatch(/execute-api:Invoke/);
  });

  it.each([
    [20, "20 minutes ahead of"],
    [-90, "90 minutes behind"],
  ])("hears that its clock is wrong by %i minutes", async (minutes, words) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + minutes * 60_000 });
    const error = await refused(client.jobs.cancel(JOB_ID));
    expect(error.message).toContain(words);
    expect(error).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    vi.useRealTimers();
    await client.jobs.cancel(JOB_ID);
  });

  describe("whose credentials expire", () => {
    const OLD: Identity = { ...SESSION, expiration: new Date(0) };
    const NEW: Identity = { ...SESSION, sessionToken: "another/token", accessKeyId: "ASIANEXT000000000000" };
    const asked: (boolean | undefined)[] = [];
    const source = async ({ forceRefresh }: { forceRefresh?: boolean } = {}): Promise<AwsCredentials> => {
      asked.push(forceRefresh);
      return asked.includes(true) ? NEW : OLD;
    };

    beforeEach(() => {
      asked.length = 0;
      server.check.identities.set(OLD.accessKeyId, OLD).set(NEW.accessKeyId, NEW);
    });

    it("fetches them again, also for what may not be done twice", async () => {
      const before = server.asked();
      server.answer = (_, response) => json(response, aJob(), 202);
      await signing({ region, credentials: source }).jobs.retry(JOB_ID);
      expect([server.received.length, server.asked() - before]).toEqual([1, 2]);
      expect(asked.filter(Boolean)).toHaveLength(1);
    });

    it("tries only once more, and not at all with the same ones", async () => {
      const before = server.asked();
      const error = await refused(signing({ region, credentials: OLD }).jobs.listPage());
      expect(error.message).toBe("the credentials have expired");
      expect(server.asked() - before).toBe(1);
      server.check.identities.delete(NEW.accessKeyId);
      await refused(signing({ region, credentials: source }).jobs.listPage());
      expect(server.asked() - before).toBe(3);
    });

    it("goes on with a stream under the new ones, with no line lost and none twice", async () => {
      let current: Identity = SESSION;
      const lent = async ({ forceRefresh }: { forceRefresh?: boolean } = {}) => {
        if (forceRefresh) current = NEW;
        return current;
      };
      server.check.identities.set(SESSION.accessKeyId, SESSION);
      server.answer = ({ headers }, response) => {
        const after = Number(headers["last-event-id"] ?? 0);
        const stream = openStream(response);
        for (let seq = after + 1; seq <= Math.min(after + 2, 5); seq++) {
          stream.write(sse({ id: seq, event: "log", data: aLine(seq) }));
        }
        // The session ends while the stream is open: what is open stays, what comes is refused.
        server.check.identities.set(SESSION.accessKeyId, OLD);
        stream.end(after >= 4 ? sse({ event: "end", data: ended }) : "");
      };
      const lines = await Array.fromAsync(
        signing({ region, credentials: lent }).jobs.followLogs(JOB_ID, { backoffMs: () => 0 }),
      );
      expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      expect(new Set(server.received.map(({ userArn }) => userArn)).size).toBe(1);
      expect(server.received.map(({ headers }) => headers["x-amz-security-token"])).toEqual([
        SESSION.sessionToken,
        NEW.sessionToken,
        NEW.sessionToken,
      ]);
    });
  });

  it.each([301, 302, 303, 307, 308])(
    "follows no redirect (%i), neither elsewhere nor to the same host",
    async (status) => {
      const heard: unknown[] = [];
      const other = await listen((request, response) => {
        heard.push(request.headers);
        response.end("{}");
      });
      for (const place of [other.url, server.url]) {
        server.received.length = 0;
        server.answer = (_, response) =>
          void response.writeHead(status, { location: `${place}/api/v1/runtimes` }).end();
        const error = await refused(client.jobs.submit({ name: "a" }));
        expect(error).toMatchObject({ status });
        expect(error.message).toMatch(/redirect/);
        expect(server.received).toHaveLength(1);
      }
      await other.close();
      expect(heard).toEqual([]);
    },
  );

  it.each<[string, AwsCredentials]>([
    ["a line end", { ...SESSION, sessionToken: "tok/en-with\n" }],
    ["a space", { ...SESSION, secretAccessKey: "tok/en with" }],
    ["nothing", { ...SESSION, accessKeyId: "", secretAccessKey: "tok/en" }],
  ])("sends nothing with credentials that hold %s, and does not quote them", async (_, credentials) => {
    const before = server.asked();
    const error: unknown = await signing({ region, credentials })
      .health()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CredentialsError);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("tok/en");
    expect(server.asked()).toBe(before);
  });

  it("says nothing of what a source of credentials says when it fails", async () => {
    const credentials = async () => {
      throw Object.assign(new Error("Command failed: helper --password tok/en\ntok/en"), {
        name: "CredentialsProviderError",
      });
    };
    const error: unknown = await signing({ region, credentials })
      .health()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CredentialsError);
    expect(String(error)).toContain("CredentialsProviderError");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("tok/en");
  });
});

describe("an answer of API Gateway in its own words", () => {
  const cases: [string, string, string][] = [
    ["ExpiredTokenException", "The security token included in the request is expired", "UNAUTHENTICATED"],
    [
      "InvalidSignatureException",
      "The Canonical String should have been 'x-amz-security-token:tok/en'",
      "UNAUTHENTICATED",
    ],
    ["AccessDeniedException", "User: arn:aws:iam::1:user/a is not authorized", "FORBIDDEN"],
  ];
  it.each(cases)("%s is told by its kind, never by its words", async (type, message, code) => {
    const door = await listen((_, response) => {
      response.writeHead(403, { "x-amzn-errortype": type, "content-type": "application/json" });
      response.end(JSON.stringify({ message }));
    });
    const client = createClient({ endpoint: door.url, auth: { region, credentials: ALICE } });
    const error: unknown = await client.runtimes.list().catch((thrown: unknown) => thrown);
    await door.close();
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 403, code });
    expect(inspect(error, { depth: 9 })).not.toContain(message);
  });
});

describe("which requests are signed", () => {
  async function sent(endpoint: string, auth?: AwsAuth | "auto" | "none"): Promise<Headers> {
    const seen: Headers[] = [];
    const client = createClient({
      endpoint,
      ...(auth === undefined ? {} : { auth }),
      fetch: async (_, init) => {
        seen.push(new Headers(init?.headers));
        return Response.json({ items: [] });
      },
    });
    await client.runtimes.list().catch(() => undefined);
    return seen[0] ?? new Headers();
  }
  const credentials = { accessKeyId: ALICE.accessKeyId, secretAccessKey: ALICE.secretAccessKey };

  beforeEach(() => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", credentials.accessKeyId);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", credentials.secretAccessKey);
    vi.stubEnv("AWS_PROFILE", undefined);
  });

  it.each([
    ["https://abc123.execute-api.eu-west-1.amazonaws.com/api", "eu-west-1"],
    ["https://abc123.execute-api.us-gov-west-1.amazonaws.com/api/v1/", "us-gov-west-1"],
    ["https://abc123.execute-api.cn-north-1.amazonaws.com.cn/api", "cn-north-1"],
    ["https://abc123.execute-api.eu-central-1.api.aws/api", "eu-central-1"],
    ["https://abc123-vpce-0ab.execute-api.us-east-1.amazonaws.com/api", "us-east-1"],
    ["https://vpce-0ab-1cd.execute-api.us-east-1.vpce.amazonaws.com/api", "us-east-1"],
  ])("those to %s, for its region, by themselves", async (endpoint, named) => {
    for (const auth of [undefined, "auto", { credentials }, { credentials, region: "sa-east-1" }] as const) {
      const authorization = (await sent(endpoint, auth)).get("authorization");
      expect(authorization).toContain(`/${named}/execute-api/aws4_request`);
      expect(authorization).toMatch(/SignedHeaders=accept;host;x-amz-date,/);
    }
  });

  it.each([
    "https://execute-api.eu-west-1.amazonaws.com.evil.example/api",
    "https://abc.execute-api.eu-west-1.amazonaws.com.evil.example/api",
    "https://abc.execute-api.evil.example/api",
    "https://evil.example/abc.execute-api.eu-west-1.amazonaws.com/api",
    "https://abc.execute-apiXeu-west-1.amazonaws.com/api",
    "https://a.b.execute-api.eu-west-1.amazonaws.com.evil/api",
    "https://api.example.org/longshore",
    "http://127.0.0.1:7070",
  ])("not those to %s", async (endpoint) => {
    expect((await sent(endpoint)).get("authorization")).toBeNull();
  });

  it("those to another host when its region is said, and none when none are wanted", async () => {
    const own = await sent("https://jobs.example.org", { region: "eu-west-1", credentials });
    expect(own.get("authorization")).toContain("/eu-west-1/execute-api/");
    const none = await sent("https://abc123.execute-api.eu-west-1.amazonaws.com/api", "none");
    expect(none.get("authorization")).toBeNull();
  });

  it.each<[string, AwsAuth | "auto", RegExp]>([
    ["https://jobs.example.org", { credentials }, /region/],
    ["https://jobs.example.org", { region: "eu-west-1/x" }, /region/],
    ["http://jobs.example.org", { region: "eu-west-1" }, /must be https/],
    ["http://127.0.0.1.example.org", { region: "eu-west-1" }, /must be https/],
    ["http://abc123.execute-api.eu-west-1.amazonaws.com/api", "auto", /must be https/],
  ])("%s with %j is refused at once", (endpoint, auth, message) => {
    expect(() => createClient({ endpoint, auth })).toThrow(TypeError);
    expect(() => createClient({ endpoint, auth })).toThrow(message);
  });
});

async function listen(answer: RequestListener): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

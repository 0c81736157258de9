import { spawn } from "node:child_process";
import { randomUUID, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { GatewayResponse } from "./gateway-answers.ts";

/** Somebody whom IAM knows. */
export interface Identity {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** The session's end. */
  expiration?: Date;
  userArn: string;
  /** What the caller's policies allow; default everything. */
  mayCall?(method: string, path: string): boolean;
}

/** Who called; or by which of API Gateway's own answers the request is refused. */
export type Verdict = { userArn: string } | { refused: GatewayResponse };

/** A door that looks at signatures as IAM does. */
export interface SignatureCheck {
  /** Those who may come in, by the ids of their keys; may be changed at any time. */
  identities: Map<string, Identity>;
  /** Judges a request as it arrived; `body` its bytes. */
  judge(request: IncomingMessage, body: Buffer): Promise<Verdict>;
  stop(): Promise<void>;
}

const REGION = "us-east-1";
const MAX_SKEW_MS = 5 * 60_000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=(?<key>[^/]+)\/(?<scope>[^,]+), SignedHeaders=(?<signed>[^,]+), Signature=(?<signature>[0-9a-f]{64})$/;

/** Starts the computation of signatures in a process of its own; needs Python with botocore, which comes with moto. */
export async function startSignatureCheck(identities: readonly Identity[]): Promise<SignatureCheck> {
  const known = new Map(identities.map((identity) => [identity.accessKeyId, identity]));
  const child = spawn("python3", [join(import.meta.dirname, "sigv4.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = new Map<string, PromiseWithResolvers<string>>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, signature } = JSON.parse(line) as { id: string; signature: string };
    waiting.get(id)?.resolve(signature);
    waiting.delete(id);
  });
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      for (const { reject } of waiting.values()) reject(new Error("the computation of signatures ended"));
      resolve();
    });
  });
  child.stdin.on("error", () => undefined);

  function compute(call: object): Promise<string> {
    const id = randomUUID();
    const answer = Promise.withResolvers<string>();
    waiting.set(id, answer);
    child.stdin.write(`${JSON.stringify({ ...call, id })}\n`);
    return answer.promise;
  }

  return {
    identities: known,
    async judge(request, body) {
      const { headers, method = "", url: target = "" } = request;
      if (headers.authorization === undefined) return { refused: "MISSING_AUTHENTICATION_TOKEN" };
      const wrong = { refused: "INVALID_SIGNATURE" } as const;
      const {
        key = "",
        scope = "",
        signed = "",
        signature = "",
      } = AUTHORIZATION.exec(headers.authorization)?.groups ?? {};
      const identity = known.get(key);
      if (identity === undefined) return wrong;
      const { sessionToken, expiration, secretAccessKey: secret } = identity;
      const date = String(headers["x-amz-date"] ?? "");
      const names = signed.split(";");
      const mustBeSigned = Object.keys(headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
      const isComplete = mustBeSigned.every((name) => names.includes(name)) && names.every((name) => name in headers);
      if (!isComplete || scope !== `${date.slice(0, 8)}/${REGION}/execute-api/aws4_request`) return wrong;
      if (headers["x-amz-security-token"] !== sessionToken) return wrong;
      if (expiration !== undefined && expiration.getTime() < clock()) return { refused: "EXPIRED_TOKEN" };
      if (!(Math.abs(clock() - timeOf(date)) <= MAX_SKEW_MS)) return wrong;
      const call = { secret, method, target, headers, signed: names, scope, body: body.toString("base64") };
      const right = await compute(call);
      if (!timingSafeEqual(Buffer.from(right), Buffer.from(signature))) return wrong;
      const isAllowed = identity.mayCall?.(method, target.replace(/\?.*/s, "")) ?? true;
      return isAllowed ? { userArn: identity.userArn } : { refused: "ACCESS_DENIED" };
    },
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
}

/** `20260131T120000Z` as milliseconds; NaN for anything else. */
function timeOf(date: string): number {
  const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  return Date.parse(`${y}-${m}-${d}T${h}:${min}:${s}Z`);
}

/** The time of day, also where a test has set `Date` to another one. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { answerByGateway } from "../lab/gateway-answers.ts";
import { type Identity, type SignatureCheck, startSignatureCheck } from "../lab/sigv4.ts";

/** A request that was let in, as it was on the wire. */
export interface Signed {
  method: string;
  target: string;
  headers: IncomingMessage["headers"];
  body: string;
  userArn: string;
}

export interface IamServer {
  url: string;
  check: SignatureCheck;
  /** What was let in. */
  received: Signed[];
  /** How many came, let in or not. */
  asked(): number;
  /** What becomes of a request that was let in; default: an empty page. */
  answer: (request: Signed, response: ServerResponse) => void;
  close(): Promise<void>;
}

export const ALICE: Identity = {
  accessKeyId: "AKIAALICE00000000000",
  secretAccessKey: "alice/secret+key",
  userArn: "arn:aws:iam::123456789012:user/alice",
};
export const SESSION: Identity = {
  accessKeyId: "ASIASESSION000000000",
  secretAccessKey: "session/secret+key",
  sessionToken: "a/session+token==",
  userArn: "arn:aws:sts::123456789012:assumed-role/jobs/session",
};

/** A server that lets in whose signature is right, checked by another implementation, as API Gateway does. */
export async function startIamServer(identities: readonly Identity[] = [ALICE, SESSION]): Promise<IamServer> {
  const check = await startSignatureCheck(identities);
  const received: Signed[] = [];
  let asked = 0;
  const state: Pick<IamServer, "answer"> = {
    answer: (_, response) =>
      void response.writeHead(200, { "content-type": "application/json" }).end('{"items":[],"nextCursor":null}'),
  };
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    asked += 1;
    const { method = "", url: target = "", headers } = request;
    const body = await buffer(request);
    const verdict = await check.judge(request, body);
    if ("refused" in verdict) return answerByGateway(response, verdict.refused, target.replace(/\?.*/s, ""));
    const signed = { method, target, headers, body: body.toString(), userArn: verdict.userArn };
    received.push(signed);
    state.answer(signed, response);
  }
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    check,
    received,
    asked: () => asked,
    get answer() {
      return state.answer;
    },
    set answer(answer) {
      state.answer = answer;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await check.stop();
    },
  };
}

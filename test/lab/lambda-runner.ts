import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { json } from "node:stream/consumers";

/** A deployed function, as awsd.py hands it over. */
export interface DeployedFunction {
  name: string;
  handler: string;
  memoryMiB: number;
  timeoutSeconds: number;
  environment: Record<string, string>;
  /** Where the deployed archive is unpacked. */
  code: string;
}

interface Call extends DeployedFunction {
  event: unknown;
}

/** An answer that comes bit by bit. */
export interface StreamedAnswer {
  head: { statusCode: number; headers: Record<string, string> };
  body: AsyncIterable<string>;
}

/** What a process says of an invocation: parts of a stream, and at last how it ended. */
type Said = { head: StreamedAnswer["head"] } | { chunk: string } | { payload: string; failed: boolean };

/** An event for the runner itself: it answers with the function as it is deployed. */
export const DESCRIBE = { "lab:describe": true };

interface Answer {
  /** JSON. */
  payload: string;
  failed: boolean;
  /** What the process wrote meanwhile. */
  logs: string;
}

/** An invocation that has been answered. */
export interface Invocation extends Answer {
  name: string;
  event: unknown;
}

/** Runs deployed functions, each in processes of its own that know only what Lambda would tell them. */
export interface LambdaRunner {
  url: string;
  /** All that was invoked so far, in the order of the answers. */
  invocations: Invocation[];
  /** Invokes a function that streams; resolves with the head. A reader that leaves is not told to the function. */
  stream(deployed: DeployedFunction, event: unknown): Promise<StreamedAnswer>;
  /** All that the functions wrote. */
  output(): string;
  /** Ends the processes. */
  stop(): Promise<void>;
}

/** A process that waits for its next event. */
interface Environment {
  child: ChildProcess;
  log: string;
}

const PROCESS = join(import.meta.dirname, "lambda-process.mjs");

/** @param options.endpoint where the functions find AWS; known only once that runs. */
export async function startLambdaRunner(options: { endpoint(): string }): Promise<LambdaRunner> {
  const idle = new Map<string, Environment[]>();
  const all = new Set<ChildProcess>();
  const invocations: Invocation[] = [];
  let output = "";

  function start(call: Call): Environment {
    const child = spawn(process.execPath, [PROCESS, call.code, call.handler], {
      env: { ...lambdaEnvironment(call, options.endpoint()), ...call.environment },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const environment: Environment = { child, log: "" };
    const note = (chunk: Buffer) => {
      environment.log += chunk;
      output += chunk;
    };
    child.stdout?.on("data", note);
    child.stderr?.on("data", note);
    all.add(child);
    child.once("exit", () => all.delete(child));
    return environment;
  }

  /** Hands over an event and waits for the end; `hear` gets the parts of a stream. */
  function invoke(call: Call, hear?: (part: Exclude<Said, { payload: string }>) => void): Promise<Answer> {
    // Lambda never gives a process a second event before it has answered the first, nor one of another environment.
    const kind = JSON.stringify([call.name, call.code, call.environment]);
    const free = idle.get(kind) ?? [];
    idle.set(kind, free);
    const environment = free.pop() ?? start(call);
    const { child } = environment;
    const before = environment.log.length;
    const { name, memoryMiB, timeoutSeconds, event } = call;
    return new Promise((resolve) => {
      const onMessage = (said: Said) => {
        if ("payload" in said) end(said);
        else hear?.(said);
      };
      const onExit = (code: number | null) =>
        end({
          payload: JSON.stringify({ errorType: "Runtime.ExitError", errorMessage: `exit ${code}` }),
          failed: true,
        });
      const end = (answer: { payload: string; failed: boolean }) => {
        child.off("message", onMessage).off("exit", onExit);
        if (child.connected) free.push(environment);
        const logs = environment.log.slice(before);
        invocations.push({ ...answer, logs, name, event });
        resolve({ ...answer, logs });
      };
      child.on("message", onMessage).once("exit", onExit);
      child.send({ name, memoryMiB, timeoutSeconds, event, streamed: hear !== undefined, requestId: randomUUID() });
    });
  }

  async function stream(deployed: DeployedFunction, event: unknown): Promise<StreamedAnswer> {
    const head = Promise.withResolvers<StreamedAnswer["head"]>();
    const body = new PassThrough({ encoding: "utf8" });
    // Whoever left early has destroyed it.
    body.on("error", () => undefined);
    const over = invoke({ ...deployed, event }, (part) => {
      if ("head" in part) head.resolve(part.head);
      else if (!body.destroyed) body.write(part.chunk);
    });
    void over.then(({ failed, payload }) => {
      if (!failed) return void body.end();
      const error = new Error(`${deployed.name} failed: ${payload}`);
      head.reject(error);
      body.destroy(error);
    });
    return { head: await head.promise, body };
  }

  const server = createServer(async (request, response) => {
    const call = (await json(request)) as Call;
    if (Object.hasOwn(Object(call.event), "lab:describe"))
      response.end(JSON.stringify({ payload: JSON.stringify(call), failed: false, logs: "" }));
    else response.end(JSON.stringify(await invoke(call)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    invocations,
    stream,
    output: () => output,
    async stop() {
      server.closeAllConnections();
      server.close();
      await Promise.all(
        [...all].map(async (child) => {
          const gone = once(child, "exit");
          child.kill("SIGKILL");
          await gone;
        }),
      );
    },
  };
}

/** What Lambda itself puts into a function's environment. */
function lambdaEnvironment({ name, memoryMiB, handler }: Call, endpoint: string): Record<string, string> {
  return {
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    // Nobody checks it: by it the lab knows whose call it is.
    AWS_ACCESS_KEY_ID: `lab.${name}`,
    AWS_SECRET_ACCESS_KEY: "lab",
    AWS_SESSION_TOKEN: "lab",
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMiB),
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    LAMBDA_TASK_ROOT: "/var/task",
    _HANDLER: handler,
    _X_AMZN_TRACE_ID: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
    AWS_ENDPOINT_URL: endpoint,
    // By number: the names of buckets would otherwise become names of hosts.
    AWS_ENDPOINT_URL_S3: endpoint.replace("localhost", "127.0.0.1"),
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";

/** An invocation, as awsd.py hands it over. */
interface Call {
  name: string;
  handler: string;
  memoryMiB: number;
  timeoutSeconds: number;
  environment: Record<string, string>;
  /** Where the deployed archive is unpacked. */
  code: string;
  event: unknown;
}

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

  async function invoke(call: Call): Promise<Answer> {
    // Lambda never gives a process a second event before it has answered the first.
    const free = idle.get(call.name) ?? [];
    idle.set(call.name, free);
    const environment = free.pop() ?? start(call);
    const { child } = environment;
    const before = environment.log.length;
    const { name, memoryMiB, timeoutSeconds, event } = call;
    const heard = new AbortController();
    const first = (event: string) => once(child, event, { signal: heard.signal });
    const exited = first("exit").then(([code]) => ({
      payload: JSON.stringify({ errorType: "Runtime.ExitError", errorMessage: `exit ${code}` }),
      failed: true,
    }));
    const answered = first("message").then(([answer]) => answer as Omit<Answer, "logs">);
    child.send({ name, memoryMiB, timeoutSeconds, event, requestId: randomUUID() });
    const answer = await Promise.race([answered, exited]);
    const isDeaf = (error: unknown) => (heard.signal.aborted ? undefined : Promise.reject(error));
    answered.catch(isDeaf);
    exited.catch(isDeaf);
    heard.abort();
    if (child.connected) free.push(environment);
    return { ...answer, logs: environment.log.slice(before) };
  }

  const server = createServer(async (request, response) => {
    const call = (await json(request)) as Call;
    const answer = await invoke(call);
    invocations.push({ ...answer, name: call.name, event: call.event });
    response.end(JSON.stringify(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    invocations,
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

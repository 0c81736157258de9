// One execution environment of a function, as Lambda has it: imports the deployed code once and handles one event after
// the other. Started by lambda-runner.ts with the deployed environment and nothing else.
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { pathToFileURL } from "node:url";

const [code, handler] = process.argv.slice(2);
const [file, name] = handler.split(".");
const STREAMED = Symbol("streamed");

globalThis.awslambda = {
  streamifyResponse: (streamed) => Object.assign(streamed, { [STREAMED]: true }),
  HttpResponseStream: {
    from(response, head) {
      response.head = head;
      response.emit("head", head);
      return response;
    },
  },
};

/** Lambda's context, as far as anybody reads it. */
function contextOf({ timeoutSeconds, name: functionName, memoryMiB, requestId }) {
  const deadline = Date.now() + timeoutSeconds * 1000;
  return {
    functionName,
    functionVersion: "$LATEST",
    invokedFunctionArn: `arn:aws:lambda:us-east-1:123456789012:function:${functionName}`,
    memoryLimitInMB: String(memoryMiB),
    awsRequestId: requestId,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

async function run(loaded, { event, streamed, ...call }) {
  if (loaded[STREAMED] !== true) return await loaded(event, contextOf(call));
  const response = new PassThrough();
  if (streamed) {
    response.once("head", (head) => process.send({ head }));
    response.setEncoding("utf8").on("data", (chunk) => process.send({ chunk }));
    await loaded(event, response, contextOf(call));
    return await finished(response);
  }
  const body = text(response);
  await loaded(event, response, contextOf(call));
  return { ...response.head, body: await body };
}

process.on("message", async (call) => {
  try {
    const loaded = (await import(pathToFileURL(`${code}/${file}.mjs`).href))[name];
    process.send({ payload: JSON.stringify((await run(loaded, call)) ?? null), failed: false });
  } catch (error) {
    // What Lambda answers, and what it writes to the log.
    const told = { errorType: error.name, errorMessage: error.message, trace: String(error.stack).split("\n") };
    console.error(JSON.stringify({ timestamp: new Date().toISOString(), level: "ERROR", message: told }));
    process.send({ payload: JSON.stringify(told), failed: true });
  }
});
process.on("disconnect", () => process.exit());

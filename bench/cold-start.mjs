// One start of a function, as Lambda makes it: a fresh process loads the bundle and, where it is told to, hands it one event.
import { pathToFileURL } from "node:url";

const [file, event] = process.argv.slice(2);
globalThis.awslambda = { streamifyResponse: (handler) => handler };
console.log = console.info = console.warn = console.error = () => undefined;

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const context = {
  functionName: "bench",
  awsRequestId: "r",
  memoryLimitInMB: "1024",
  getRemainingTimeInMillis: () => 29_000,
};
// From the process's own beginning, as Lambda counts a start.
const { handler } = await import(pathToFileURL(file).href);
const [loadMs, loadCpuMs] = [performance.now(), cpuMs()];
if (event === "event") {
  // A path that the API does not have: all that a process makes once is made, and nothing is asked for beyond it.
  await handler(
    { httpMethod: "GET", path: "/v1/nothing", headers: {}, requestContext: { path: "/api/v1/nothing" } },
    context,
  );
}
const [firstMs, firstCpuMs] = [performance.now(), cpuMs()];
process.stdout.write(`${JSON.stringify({ loadMs, loadCpuMs, firstMs, firstCpuMs })}\n`, () => process.exit());

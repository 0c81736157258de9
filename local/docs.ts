import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { LongshoreError } from "../engine/errors.ts";

/** The page that shows the API's description, and what it is made of. */
export interface DocsFile {
  headers: Record<string, string>;
  body: Buffer;
}

const ROOT = "/docs";
const SHOWN = "/api/v1/openapi.json";

/** Nothing from elsewhere, and no script but our own; the renderer writes styles into its elements. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Longshore API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="${ROOT}/swagger-ui.css">
  </head>
  <body>
    <div id="api"></div>
    <noscript>The description itself: <a href="${SHOWN}">${SHOWN}</a></noscript>
    <script src="${ROOT}/swagger-ui-bundle.js"></script>
    <script src="${ROOT}/start.js"></script>
  </body>
</html>
`;

// Its validator is on a server of somebody else's; a query must not choose another document.
const START = `SwaggerUIBundle({
  url: "${SHOWN}",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
});
`;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** What is read from the renderer's package: it holds many more files. */
const OF_THE_RENDERER: readonly string[] = ["swagger-ui.css", "swagger-ui-bundle.js"];

/** Whether a path is one of the page's. */
export function isDocs(path: string): boolean {
  return path === ROOT || path.startsWith(`${ROOT}/`);
}

/**
 * A file of the page that shows the API: Swagger UI and what starts it.
 * @throws LongshoreError NOT_FOUND.
 */
export async function docsFile(path: string): Promise<DocsFile> {
  const name = path.slice(ROOT.length).replace(/^\//, "");
  if (name === "") return file("html", Buffer.from(PAGE));
  if (name === "start.js") return file("js", Buffer.from(START));
  if (!OF_THE_RENDERER.includes(name)) throw new LongshoreError("NOT_FOUND", "there is no such page");
  return file(name.split(".").at(-1) ?? "", await readFile(placeOf(name)));
}

function file(type: string, body: Buffer): DocsFile {
  const headers = {
    "Content-Type": TYPES[type] ?? "",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
  };
  return { headers, body };
}

/**
 * Beside this file in the package, where the build has put it: who installs Longshore needs nothing else of the renderer's
 * package. In the sources it is where npm has put it.
 */
function placeOf(name: string): string {
  const isBuilt = import.meta.url.endsWith(".js");
  return fileURLToPath(
    isBuilt ? new URL(`swagger-ui/${name}`, import.meta.url) : import.meta.resolve(`swagger-ui-dist/${name}`),
  );
}

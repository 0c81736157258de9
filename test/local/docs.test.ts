import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, openGateway } from "../../local/gateway.ts";
import { silentLogger } from "../functions/aws/silent.ts";
import { problemOf } from "../scenarios/client.ts";
import { rawCall } from "../scenarios/raw-http.ts";

let gateway: Gateway;
const never = () => Promise.reject(new Error("no function is asked"));
beforeAll(async () => {
  gateway = await openGateway({ submit: never, query: never, stream: never }, 0, silentLogger);
});
afterAll(async () => {
  await gateway.close();
});

/** The page is outside of the API: the path begins at the door's own root. */
const get = (path: string, options: Parameters<typeof rawCall>[2] = {}) =>
  rawCall({ api: () => gateway.url }, path.slice(1), options);

/** Every place that a page names. */
const placesIn = (html: string) => [...html.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, place = ""]) => place);

describe("the page that shows the API", () => {
  it.each(["/docs", "/docs/"])("is at %s, and all that it names is on the same door", async (path) => {
    const page = await get(path);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const places = placesIn(page.text);
    expect(places).toContain("/docs/swagger-ui-bundle.js");
    const scripts = [...page.text.matchAll(/<script[^>]*>([^<]*)</g)].map(([, inline]) => inline);
    expect(scripts).toEqual(scripts.map(() => ""));
    for (const place of places.filter((one) => !one.startsWith("data:") && one !== "/api/v1/openapi.json")) {
      expect(place).toMatch(/^\/docs\/[\w.-]+$/);
      const file = await get(place);
      expect(file.status, place).toBe(200);
      expect(file.headers.get("content-type")).toMatch(place.endsWith(".css") ? /^text\/css/ : /^text\/javascript/);
      expect(file.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("lets nothing in from elsewhere, and no script but its own", async () => {
    for (const path of ["/docs", "/docs/start.js"]) {
      const policy = (await get(path)).headers.get("content-security-policy") ?? "";
      const rules = new Map(policy.split("; ").map((rule) => rule.split(/ (.*)/).slice(0, 2) as [string, string]));
      expect(rules.get("default-src")).toBe("'none'");
      expect(rules.get("script-src")).toBe("'self'");
      expect(rules.get("frame-ancestors")).toBe("'none'");
      expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
    }
    const { text } = await get("/docs/start.js");
    expect(text).toContain('"/api/v1/openapi.json"');
    expect(text).toContain("validatorUrl: null");
    expect(text).not.toMatch(/https?:/);
    expect((await get("/docs/swagger-ui.css")).text).not.toMatch(/@import|url\(["']?(https?:)?\/\//);
  });

  it("is made of the files that the renderer's package has", async () => {
    const digest = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");
    for (const name of ["swagger-ui.css", "swagger-ui-bundle.js"]) {
      const { text } = await get(`/docs/${name}`);
      const file = await readFile(new URL(import.meta.resolve(`swagger-ui-dist/${name}`)));
      expect(digest(text), name).toBe(digest(file));
    }
  });

  it.each([
    "/docs/package.json",
    "/docs/swagger-ui-bundle.js.map",
    "/docs/../package.json",
    "/docs/%2e%2e/package.json",
    "/docs/..%2fpackage.json",
    "/docs//etc/passwd",
    "/docs/swagger-ui.css/x",
    "/docsx",
  ])("has nothing else: %s", async (path) => {
    problemOf(await get(path), 404, "NOT_FOUND");
  });

  it("is only read, and only by this machine", async () => {
    const head = await get("/docs", { method: "HEAD" });
    const whole = await get("/docs");
    expect([head.status, head.text, head.headers.get("content-length")]).toEqual([
      200,
      "",
      String(Buffer.byteLength(whole.text)),
    ]);
    const refused = await get("/docs", { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });
    problemOf(refused, 405, "METHOD_NOT_ALLOWED");
    expect(refused.headers.get("allow")).toBe("GET, HEAD");
    problemOf(await get("/docs", { headers: { Host: "elsewhere.example" } }), 403, "FORBIDDEN");
    problemOf(await get("/docs", { headers: { Origin: "http://elsewhere.example" } }), 403, "FORBIDDEN");
  });
});

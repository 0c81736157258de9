import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../../../engine/errors.ts";
import { makeDocument, templateOf } from "../../../functions/api/document.ts";
import { OPERATIONS } from "../../../functions/api/operations.ts";
import { LOCAL_ROUTES, ROUTES } from "../../../functions/routes.ts";
import { createJudge } from "../../lab/openapi.ts";

const SERVER = "http://127.0.0.1:7070/api/v1";

async function judged(document: object): Promise<{ valid: boolean; errors?: unknown }> {
  return await new Validator().validate(structuredClone(document) as Record<string, unknown>);
}

describe("the description of the API", () => {
  it.each([false, true])("is a valid OpenAPI 3.1 document, exact: %s", async (exact) => {
    expect(await judged(makeDocument({ serverUrl: SERVER, exact }))).toMatchObject({ valid: true });
  });

  it("would be found out if it were none", async () => {
    const document = makeDocument({ serverUrl: SERVER });
    expect(await judged({ ...document, paths: { jobs: {} } })).toMatchObject({ valid: false });
    const broken = structuredClone(document);
    (broken.paths["/jobs"]?.get as { responses: unknown }).responses = { 200: { text: "no description" } };
    expect(await judged(broken)).toMatchObject({ valid: false });
  });

  it("has every route that the home answers, and no other", () => {
    const described = Object.entries(makeDocument({ serverUrl: SERVER }).paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const routes = [...ROUTES, ...LOCAL_ROUTES];
    expect(described.sort()).toEqual(routes.map(([method, path]) => `${method} ${templateOf(path)}`).sort());
    expect(Object.keys(OPERATIONS).sort()).toEqual(routes.map(([method, path]) => `${method} ${path}`).sort());
  });

  it("names every operation once", () => {
    const ids = Object.values(OPERATIONS).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z]+$/);
  });

  it("says where it was asked for, and holds no reference that leads nowhere", () => {
    const document = makeDocument({ serverUrl: SERVER });
    expect(document.servers).toEqual([{ url: SERVER }]);
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? "");
    expect(refs.length).toBeGreaterThan(50);
    for (const ref of refs) {
      const found = ref.split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
      expect(found, ref).toBeTypeOf("object");
    }
  });

  it("has a response for every status that a problem can have, each code in one", () => {
    const { responses = {} } = makeDocument({ serverUrl: SERVER }).components;
    // A range has a status of its own, and no code.
    const { Problem416: _, ...all } = responses;
    const codes = Object.values(all).flatMap(({ content }) =>
      Object.keys((content as Record<string, { examples: object }>)["application/problem+json"]?.examples ?? {}),
    );
    expect(codes.sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it("lets answers grow and requests not", () => {
    const { schemas = {} } = makeDocument({ serverUrl: SERVER }).components;
    expect(schemas.Job).not.toHaveProperty("additionalProperties");
    expect(schemas.JobSpec).toMatchObject({ additionalProperties: false });
    // A map stays a map of what it holds.
    expect(schemas.Job).toHaveProperty("properties.labels.additionalProperties", { type: "string" });
  });
});

describe("the examples", () => {
  const judge = createJudge();
  const examples = judge.operations.flatMap(({ template, method, described, id }) => {
    const place = ["paths", template, method.toLowerCase()];
    const sent = Object.entries(described.requestBody?.content ?? {}).flatMap(([type, { examples }]) =>
      Object.values(examples).map(({ value }) => ({
        name: `${id}: ${type}`,
        place: [...place, "requestBody", "content", type, "schema"],
        value,
      })),
    );
    const answered = Object.entries(described.responses).flatMap(([status, { content = {} }]) =>
      Object.entries(content)
        .filter(([, { example }]) => example !== undefined)
        .map(([type, { example }]) => ({
          name: `${id}: ${status} ${type}`,
          place: [...place, "responses", status, "content", type, "schema"],
          value: example,
        })),
    );
    return [...sent, ...answered];
  });

  it.each(examples)("are what they are examples of: $name", ({ place, value }) => {
    const check = judge.at(...place);
    check(value);
    expect(check.errors).toBeNull();
  });

  it("are there for every body and every JSON answer but the description itself", () => {
    const missing = judge.operations.flatMap(({ id, described }) =>
      Object.entries(described.responses)
        .filter(([, { content }]) => content?.["application/json"] && content["application/json"].example === undefined)
        .map(([status]) => `${id} ${status}`),
    );
    expect(missing).toEqual(["getOpenApi 200"]);
  });

  it("of problems are problems", () => {
    for (const [name, { content }] of Object.entries(judge.document.components.responses ?? {})) {
      const media = (content as Record<string, { examples: Record<string, { value: unknown }> }>)[
        "application/problem+json"
      ];
      const check = judge.at("components", "responses", name, "content", "application/problem+json", "schema");
      for (const { value } of Object.values(media?.examples ?? {})) {
        check(value);
        expect(check.errors, name).toBeNull();
      }
    }
  });
});

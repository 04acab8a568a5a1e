import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { endpointSpec, functionSpec } from "../../../test/harness/specs.ts";
import type { Json, JsonObject } from "../../protocol/json.ts";
import type { AppSpec, FunctionSpec } from "../../protocol/spec.ts";
import { IMAGE_SCHEMA } from "../../schema/media.ts";
import { apiDocument } from "../api/openapi.ts";
import { ROUTES } from "../api/router.ts";
import { openApiOf } from "./document.ts";

const input = (properties: JsonObject, required: string[] = []): FunctionSpec["input"] => ({
  mode: "params",
  params: [],
  schema: { type: "object", properties, required, additionalProperties: false },
});

const SPEC: AppSpec = {
  specVersion: 1,
  name: "demo",
  compute: "dedicated",
  $defs: {
    "Tree<string>": {
      type: "object",
      properties: {
        value: { type: "string" },
        children: { type: "array", items: { $ref: "#/$defs/Tree%3Cstring%3E" } },
      },
    },
    Kind: {
      oneOf: [{ $ref: "#/$defs/Tree%3Cstring%3E" }],
      discriminator: { propertyName: "value", mapping: { a: "#/$defs/Tree%3Cstring%3E" } },
    },
  },
  functions: [
    endpointSpec(
      "hello",
      { input: input({ name: { type: "string", default: "x", description: "Whom" } }) },
      { methods: ["GET", "POST"], summary: "Greets", tags: ["a"] },
    ),
    endpointSpec("resize", {
      input: input({ page: { ...IMAGE_SCHEMA } as JsonObject, width: { type: "integer" } }, ["page"]),
      output: { schema: { ...IMAGE_SCHEMA } as JsonObject, stream: false, standard: false },
    }),
    endpointSpec("read", {
      queue: { size: 1, maxWorkers: 1, ttlS: 1 },
      input: input({ tree: { $ref: "#/$defs/Tree%3Cstring%3E" } }),
      deprecated: true,
      description: "Reads.",
    }),
    endpointSpec("hook", { input: { mode: "request", params: [] } }, { access: "token" }),
    endpointSpec("parse", {
      input: { mode: "standard", schema: null },
      output: { schema: { type: "string" }, stream: true, standard: false },
    }),
    functionSpec("infer"),
  ],
};

async function assertValid(document: JsonObject): Promise<void> {
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  assert.ok(valid, JSON.stringify(errors, null, 2));
}

function at(value: Json, ...path: string[]): Json {
  return path.reduce<Json>((part, name) => (part as JsonObject)[name] as Json, value);
}

test("an app's document is valid OpenAPI 3.1", async () => {
  await assertValid(openApiOf(SPEC, { serverUrl: "http://127.0.0.1:7700/demo", version: "7" }));
});

test("the API's own document is valid OpenAPI 3.1 and has every route", async () => {
  const document = apiDocument(ROUTES, "1.2.3");
  await assertValid(document);
  for (const { method, path } of ROUTES)
    assert.ok(at(document, "paths", path.replace(/:(\w+)/g, "{$1}"), method.toLowerCase()), path);
});

test("operations say what is sent and what comes back", () => {
  const document = openApiOf(SPEC, { serverUrl: "/demo", version: "7" });
  assert.deepEqual(at(document, "paths", "/hello", "get", "parameters", "0"), {
    name: "name",
    in: "query",
    required: false,
    schema: { type: "string", default: "x", description: "Whom" },
    description: "Whom",
  });
  const form = at(
    document,
    "paths",
    "/resize",
    "post",
    "requestBody",
    "content",
    "multipart/form-data",
    "schema",
    "properties",
  );
  assert.equal(at(form, "page", "format"), "binary");
  assert.deepEqual(Object.keys(at(document, "paths", "/read", "post", "responses") as object), [
    "200",
    "202",
    "4XX",
    "5XX",
  ]);
  assert.deepEqual(at(document, "paths", "/hook", "post", "security"), [{ token: [] }]);
  assert.deepEqual(
    at(document, "paths", "/resize", "post", "responses", "200", "content", "application/json", "schema"),
    { $ref: "#/components/schemas/athanor.Media" },
  );
  assert.equal(JSON.stringify(document).includes("$media"), false, "the system's own references stay inside");
  assert.equal(JSON.stringify(document).includes("#/$defs/"), false);
  assert.deepEqual(at(document, "components", "schemas", "Kind", "discriminator", "mapping"), {
    a: "#/components/schemas/Tree_string_",
  });
});

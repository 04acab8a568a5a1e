import type { Json, JsonObject, JsonSchema } from "../../protocol/json.ts";
import type { AppSpec, EndpointSpec, FunctionSpec, HttpMethod } from "../../protocol/spec.ts";
import { componentName, inputSchema, isImage, outputSchema, resolve } from "./schema.ts";
import { MEDIA_SCHEMA, PROBLEM_SCHEMA } from "./wire/answers.ts";
import { JOB_SCHEMA } from "./wire/jobs.ts";

type EndpointFunction = FunctionSpec & { endpoint: EndpointSpec };

/** The OpenAPI 3.1 document of an app's endpoints, as clients call them. */
export function openApiOf(spec: AppSpec, p: { serverUrl: string; version: string }): JsonObject {
  const paths: JsonObject = {};
  for (const fn of spec.functions) {
    if (fn.endpoint === null) continue;
    const operations = fn.endpoint.methods.map((method) => [
      method.toLowerCase(),
      operation(fn as EndpointFunction, method, spec),
    ]);
    paths[fn.endpoint.path] = Object.fromEntries(operations) as JsonObject;
  }
  const schemas = Object.entries(spec.$defs).map(([name, schema]) => [componentName(name), inputSchema(schema)]);
  return {
    openapi: "3.1.0",
    info: { title: spec.name, version: p.version },
    servers: [{ url: p.serverUrl }],
    paths,
    components: {
      schemas: {
        ...(Object.fromEntries(schemas) as JsonObject),
        "athanor.Job": JOB_SCHEMA,
        "athanor.Media": MEDIA_SCHEMA,
        "athanor.Problem": PROBLEM_SCHEMA,
      },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: {
        Problem: {
          description: "What failed, why, and the next step",
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/athanor.Problem" } } },
        },
      },
    },
  };
}

function operation(fn: EndpointFunction, method: HttpMethod, spec: AppSpec): JsonObject {
  const { endpoint } = fn;
  const byQuery = method === "GET" || method === "HEAD" || method === "DELETE";
  const parameters = [...(byQuery ? queryParameters(fn, spec) : []), ...headerParameters(fn, method)];
  const body = byQuery ? null : requestBody(fn, spec);
  return {
    operationId: endpoint.methods.length === 1 ? fn.name : `${fn.name}-${method.toLowerCase()}`,
    ...(endpoint.summary === null ? {} : { summary: endpoint.summary }),
    ...(fn.description === null ? {} : { description: fn.description }),
    ...(fn.deprecated ? { deprecated: true } : {}),
    ...(endpoint.tags.length > 0 ? { tags: endpoint.tags } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === null ? {} : { requestBody: body }),
    responses: responses(fn, spec),
    ...(endpoint.access === "token" ? { security: [{ token: [] }] } : {}),
  };
}

function queryParameters(fn: FunctionSpec, spec: AppSpec): JsonObject[] {
  if (fn.input.mode === "request" || fn.input.schema === null) return [];
  const schema = resolve(fn.input.schema, spec.$defs);
  if (typeof schema === "boolean") return [];
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries((schema.properties ?? {}) as { [name: string]: JsonSchema }).map(([name, property]) => {
    const description =
      typeof property === "object" && typeof property.description === "string" ? property.description : null;
    return {
      name,
      in: "query",
      required: required.has(name),
      schema: inputSchema(property),
      ...(description === null ? {} : { description }),
    };
  });
}

function headerParameters(fn: FunctionSpec, method: HttpMethod): JsonObject[] {
  if (fn.input.mode === "request") return [];
  const prefer =
    fn.queue === null
      ? "`respond-async` makes a job of the call: 202."
      : "`wait=N` waits up to N seconds for the result: 200.";
  const headers = [{ name: "Prefer", in: "header", required: false, schema: { type: "string" }, description: prefer }];
  if (method !== "POST" && method !== "PATCH" && fn.queue === null) return headers;
  return [
    ...headers,
    {
      name: "Idempotency-Key",
      in: "header",
      required: false,
      schema: { type: "string", maxLength: 255 },
      description: "The same key within 24 h gives the same job.",
    },
  ];
}

function requestBody(fn: FunctionSpec, spec: AppSpec): JsonObject | null {
  if (fn.input.mode === "request") return { content: { "*/*": { schema: {} } } };
  if (fn.input.schema === null) return { content: { "application/json": { schema: {} } } };
  const schema = resolve(fn.input.schema, spec.$defs);
  const fields = typeof schema === "object" ? ((schema.properties ?? {}) as { [name: string]: JsonSchema }) : {};
  const isObject = typeof schema === "object" && schema.properties !== undefined;
  if (
    isObject &&
    Object.keys(fields).length === 0 &&
    fn.input.mode === "params" &&
    schema.patternProperties === undefined
  )
    return null;
  const json = inputSchema(fn.input.schema);
  const hasMedia = Object.values(fields).some((field) => isMedia(field, spec.$defs));
  const form = hasMedia
    ? { "multipart/form-data": { schema: formSchema(json, fields, spec.$defs) } }
    : { "multipart/form-data": { schema: json }, "application/x-www-form-urlencoded": { schema: json } };
  const required = typeof schema === "object" && Array.isArray(schema.required) && schema.required.length > 0;
  return { required, content: { "application/json": { schema: json }, ...(isObject ? form : {}) } };
}

/** An image, or a list of images. */
function isMedia(schema: JsonSchema, $defs: AppSpec["$defs"]): boolean {
  const node = resolve(schema, $defs);
  return (
    isImage(node) ||
    (typeof node === "object" && node.type === "array" && isImage(resolve((node.items ?? true) as JsonSchema, $defs)))
  );
}

/** Media fields as files, the others as they are. */
function formSchema(json: JsonSchema, fields: { [name: string]: JsonSchema }, $defs: AppSpec["$defs"]): JsonObject {
  const file = { type: "string", contentMediaType: "application/octet-stream", format: "binary" };
  const properties = Object.entries(fields).map(([name, field]) => {
    const node = resolve(field, $defs);
    if (isImage(node)) return [name, file];
    return [name, isMedia(field, $defs) ? { type: "array", items: file } : inputSchema(field)];
  });
  const base = typeof json === "object" ? json : {};
  return {
    type: "object",
    properties: Object.fromEntries(properties) as JsonObject,
    ...(base.required === undefined ? {} : { required: base.required as Json }),
  };
}

function responses(fn: FunctionSpec, spec: AppSpec): JsonObject {
  const problem = { $ref: "#/components/responses/Problem" };
  const job = {
    description: "A job was made of the call",
    headers: { Location: { description: "The job, with the key that opens it", schema: { type: "string" } } },
    content: { "application/json": { schema: { $ref: "#/components/schemas/athanor.Job" } } },
  };
  const result = { description: "The result", content: resultContent(fn, spec) };
  const errors = { "4XX": problem, "5XX": problem };
  if (fn.queue !== null)
    return {
      "200": { ...result, description: "The result, where `Prefer: wait` was sent and the job ended in time" },
      "202": job,
      ...errors,
    };
  return fn.input.mode === "request"
    ? { default: { description: "The function's own answer" } }
    : { "200": result, "202": job, ...errors };
}

function resultContent(fn: FunctionSpec, spec: AppSpec): JsonObject {
  const schema = fn.output.schema === null ? {} : outputSchema(fn.output.schema);
  if (fn.output.stream && fn.queue === null)
    return { "application/x-ndjson": { schema }, "text/event-stream": { schema } };
  const image = fn.output.schema !== null && isImage(resolve(fn.output.schema, spec.$defs));
  return {
    "application/json": { schema },
    ...(image ? { "image/*": { schema: { type: "string", format: "binary" } } } : {}),
  };
}

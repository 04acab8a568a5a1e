import type { JsonObject } from "../../protocol/json.ts";
import { sendJson } from "../http/answer.ts";
import { API_SCHEMAS } from "../openapi/wire-schemas.ts";
import type { Route } from "./route.ts";

export const openApiRoutes: Route[] = [
  {
    method: "GET",
    path: "/openapi.json",
    access: "public",
    summary: "This API as OpenAPI 3.1",
    answers: { 200: "OpenApi" },
    handle: ({ x, context, routes }) => sendJson(x, 200, apiDocument(routes, context.version)),
  },
];

/** Of the route table, so that what is served is what is described. */
export function apiDocument(routes: readonly Route[], version: string): JsonObject {
  const paths: { [path: string]: JsonObject } = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Athanor", version },
    paths,
    components: {
      schemas: API_SCHEMAS,
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        key: { type: "apiKey", in: "query", name: "key", description: "From a job's own links." },
      },
    },
  };
}

function operation(route: Route): JsonObject {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(route.query ?? {}).map(([name, { description, schema }]) => ({
    name,
    in: "query",
    description,
    schema,
  }));
  const inHeaders = Object.entries(route.headers ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    description,
    schema: { type: "string" },
  }));
  const answers = Object.entries(route.answers).map(([status, schema]) => [
    status,
    { description: route.summary, ...(schema === null ? {} : { content: content("application/json", schema) }) },
  ]);
  const access = {
    public: [],
    operator: [{ token: [] }],
    app: [{ token: [] }],
    principal: [{ token: [] }],
    job: [{ token: [] }, { key: [] }],
  }[route.access];
  return {
    summary: route.summary,
    parameters: [...inPath, ...inQuery, ...inHeaders],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: content("application/json", route.body) } }),
    responses: {
      ...Object.fromEntries(answers),
      default: {
        description: "What failed, why, and the next step",
        content: content("application/problem+json", "Problem"),
      },
    },
    security: access,
  };
}

const content = (type: string, schema: string): JsonObject => ({
  [type]: { schema: { $ref: `#/components/schemas/${schema}` } },
});

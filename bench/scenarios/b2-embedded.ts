import { httpTables } from "../http-load.ts";
import { athanorEmbedded, express, fastapi, fastify, hono } from "../peers/http-servers.ts";

export const title = "B2 embedded: one process, GET and validated POST, 64 connections, JSON";

export function run({ rounds }: { rounds: number }): Promise<string> {
  return httpTables([athanorEmbedded, fastify, hono, express, fastapi], rounds);
}

import { httpTables } from "../http-load.ts";
import { athanorGateway, fastapi, fastify, nginxFastify } from "../peers/http-servers.ts";

export const title = "B1 gateway: GET and validated POST, 64 connections, JSON";

export function run({ rounds }: { rounds: number }): Promise<string> {
  return httpTables([athanorGateway, nginxFastify, fastify, fastapi], rounds);
}

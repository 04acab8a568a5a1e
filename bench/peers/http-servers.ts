import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { Unavailable } from "../contestant.ts";
import type { HttpContestant, HttpServer } from "../http-load.ts";
import { startAthanor } from "./athanor.ts";
import { temporaryProject } from "./project.ts";
import { end, freePort, startUntil, temporaryFolder } from "./temporary.ts";

const fixtures = join(import.meta.dirname, "../fixtures/http");

/** Gateway and replica, two processes, as `athanor up` has it. */
export const athanorGateway: HttpContestant = {
  name: "Athanor",
  note: "gateway and replica: two processes, HTTP parsed once",
  async start() {
    const server = await startAthanor({ entry: join(fixtures, "app.ts") });
    return {
      url: `${server.url}/orders`,
      pids: [server.pid],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** The same app in one process, without a server. */
export const athanorEmbedded: HttpContestant = {
  name: "Athanor",
  note: "app.serve(): one process",
  async start() {
    await using undo = new AsyncDisposableStack();
    const { path } = undo.use(await temporaryProject());
    for (const name of ["app.ts", "embedded.ts"]) await copyFile(join(fixtures, name), join(path, name));
    const { child, match } = await startUntil(process.execPath, [join(path, "embedded.ts")], {
      pattern: /listening at (http:\S+)/,
      env: { ...process.env, NODE_ENV: "production" },
    });
    undo.defer(() => end(child));
    const owned = undo.move();
    return serverOf(match[1] ?? "", child.pid, () => owned.disposeAsync());
  },
};

export const fastify = inNode("Fastify 5.12", "one process, its own schemas for body and answer", "fastify.ts");
export const hono = inNode("Hono 4.13", "one process, @hono/node-server, Zod 4", "hono.ts");
export const express = inNode("Express 5.3", "one process, Zod 4", "express.ts");

function inNode(name: string, note: string, file: string): HttpContestant {
  return {
    name,
    note,
    async start() {
      const { child, match } = await startUntil(process.execPath, [join(fixtures, file)], {
        pattern: /listening at (http:\S+)/,
        env: { ...process.env, NODE_ENV: "production" },
      });
      return serverOf(match[1] ?? "", child.pid, () => end(child));
    },
  };
}

/** As one deploys Fastify: on a unix socket behind nginx, with connections that are kept. */
export const nginxFastify: HttpContestant = {
  name: "nginx → Fastify",
  note: "two processes, over a unix socket with kept connections",
  async start() {
    await using undo = new AsyncDisposableStack();
    const folder = undo.use(await temporaryFolder());
    const socket = join(folder.path, "fastify.sock");
    const { child: app } = await startUntil(process.execPath, [join(fixtures, "fastify.ts")], {
      pattern: /listening at/,
      env: { ...process.env, NODE_ENV: "production", FASTIFY_SOCKET: socket },
    });
    undo.defer(() => end(app));
    const nginx = undo.use(await startNginx(folder.path, `server unix:${socket};`));
    const owned = undo.move();
    return {
      url: nginx.url,
      pids: [...nginx.pids, ...(app.pid === undefined ? [] : [app.pid])],
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  },
};

export const fastapi: HttpContestant = {
  name: "FastAPI 0.165, uvicorn",
  note: "one process; uvloop, httptools, Pydantic",
  async start() {
    const python = pythonWithPeers();
    const port = await freePort();
    const args = ["-m", "uvicorn", "main:app", "--port", String(port), "--no-access-log", "--app-dir", fixtures];
    const { child } = await startUntil(python, args, { pattern: /Uvicorn running on/ });
    return serverOf(`http://127.0.0.1:${port}`, child.pid, () => end(child));
  },
};

/** nginx with one worker in a folder, before the upstream. Also passes WebSockets on. */
export async function startNginx(folder: string, upstream: string): Promise<HttpServer> {
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore" });
  } catch {
    throw new Unavailable("nginx is not installed (Debian package nginx-light)");
  }
  const port = await freePort();
  const file = join(folder, "nginx.conf");
  writeFileSync(file, nginxConfig(folder, port, upstream));
  const { child } = await startUntil("nginx", ["-p", folder, "-c", file], { pattern: /start worker process \d/ });
  return serverOf(`http://127.0.0.1:${port}`, child.pid, () => end(child, "SIGQUIT"));
}

function nginxConfig(folder: string, port: number, upstream: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return `
${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary.join(" ")}
  keepalive_requests 1000000;
  map $http_upgrade $connection_header { default upgrade; "" ""; }
  upstream app { ${upstream} keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`;
}

function pythonWithPeers(): string {
  const folder = join(import.meta.dirname, "../.venv");
  const python = join(folder, "bin/python");
  try {
    if (!existsSync(join(folder, "installed"))) {
      execFileSync("python3", ["-m", "venv", folder], { stdio: "ignore" });
      const install = ["-m", "pip", "install", "--quiet", "-r", join(fixtures, "requirements.txt")];
      execFileSync(python, install, { stdio: ["ignore", "ignore", "inherit"] });
      writeFileSync(join(folder, "installed"), "");
    }
  } catch (error) {
    throw new Unavailable(`Python and its packages could not be had: ${(error as Error).message}`);
  }
  return python;
}

function serverOf(url: string, pid: number | undefined, stop: () => Promise<void>): HttpServer {
  if (pid === undefined) throw new Error(`the server at ${url} has no pid`);
  return { url, pids: [pid], [Symbol.asyncDispose]: stop };
}

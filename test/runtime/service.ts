import { once } from "node:events";
import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { OpenHttp } from "../../src/protocol/replica.ts";
import { compileValidators } from "../../src/schema/compile.ts";
import type { StartingReplica } from "../../src/server/replicas/session.ts";
import { makeProject, writeBundle } from "../build/project.ts";
import type { ReplicaHarness } from "./harness.ts";

const HEAD = 'import { App } from "athanor";\nconst app = new App("demo");\n';

export interface ServiceSource {
  /** What follows `const app = new App("demo")`; it exports one service, `service`. */
  code: string;
  files?: Record<string, string>;
  /** Those that the code imports. */
  packages?: string[];
}

/** Builds a project whose app has one service, named `service`, and starts a replica of it. */
export async function startService(harness: ReplicaHarness, p: ServiceSource): Promise<StartingReplica> {
  await using project = await makeProject({ "app.ts": HEAD + p.code, ...p.files }, p.packages);
  const upload = await project.build();
  const { spec, files } = upload;
  const dir = await mkdtemp(join(harness.dir, "deployment-"));
  const bundlePath = await writeBundle(upload, dir);
  const validatorsPath = join(dir, "validators.cjs");
  await writeFile(validatorsPath, await compileValidators(spec));
  for (const { path, content, encoding, executable } of files) {
    const file = join(dir, "files", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, Buffer.from(content, encoding), { mode: executable ? 0o700 : 0o600 });
  }
  await symlink(join(import.meta.dirname, "../../node_modules"), join(dir, "node_modules"));
  return harness.startReplica({ number: 1, app: "demo", spec, dir, bundlePath, validatorsPath });
}

/** A service that runs, behind a port. */
export class RunningService implements AsyncDisposable {
  readonly session: StartingReplica;
  readonly port: number;
  readonly #front: Server;
  readonly #sockets: Set<Socket>;

  private constructor(session: StartingReplica, front: Server, sockets: Set<Socket>) {
    this.session = session;
    this.#front = front;
    this.#sockets = sockets;
    this.port = (front.address() as AddressInfo).port;
  }

  static async start(harness: ReplicaHarness, p: ServiceSource): Promise<RunningService> {
    const session = await startService(harness, p);
    const { address } = await session.ready;
    const front =
      address === null
        ? frameFront(harness, session)
        : createTcpServer((client) => joinSockets(client, connect(address as never)));
    const sockets = new Set<Socket>();
    front.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    return new RunningService(session, front, sockets);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url + path, init);
  }

  async text(path: string, init?: RequestInit): Promise<string> {
    return (await this.fetch(path, init)).text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#front.close();
    await this.session.drain();
  }
}

function joinSockets(a: Socket, b: Socket): void {
  a.pipe(b).pipe(a);
  a.on("error", () => b.destroy());
  b.on("error", () => a.destroy());
  a.on("close", () => b.destroy());
  b.on("close", () => a.destroy());
}

/** Takes requests and upgrades to a service that is called in frames; what the gateway does, without its rules. */
function frameFront(harness: ReplicaHarness, session: StartingReplica): Server {
  const open = (request: IncomingMessage, p: Partial<OpenHttp>): OpenHttp => {
    const headers: [string, string][] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      const name = request.rawHeaders[i]?.toLowerCase() ?? "";
      if (name !== "connection" && name !== "upgrade") headers.push([name, request.rawHeaders[i + 1] ?? ""]);
    }
    const url = `http://${request.headers.host}${request.url}`;
    return harness.openHttp("service", { method: request.method ?? "", url, headers, ...p });
  };
  const server = createServer(async (request, response) => {
    const hasBody =
      request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
    const call = session.openHttp(open(request, { hasBody }), hasBody ? request : null);
    response.once("close", () => response.writableFinished || call.cancel("disconnected"));
    try {
      const head = await call.head;
      response.writeHead(head.status, head.headers.flat());
      response.flushHeaders();
      for await (const bytes of call.body) if (!response.write(bytes)) await once(response, "drain");
      response.end();
    } catch {
      response.destroy();
    }
  });
  server.on("upgrade", async (request, socket: Socket, first: Buffer) => {
    if (first.length > 0) socket.unshift(first);
    const call = session.openHttp(open(request, { upgrade: "websocket" }), socket);
    socket.on("error", () => {});
    socket.once("close", () => call.cancel("disconnected"));
    const head = await call.head;
    const lines = head.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`HTTP/1.1 ${head.status} X\r\n${lines}\r\n`);
    for await (const bytes of call.body) socket.write(bytes);
    socket.end();
  });
  return server;
}

import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import type { RunningService, ServiceStart } from "./service.ts";
import { inTime } from "./startup.ts";

const HOST = "127.0.0.1";

export async function startWebServer(start: ServiceStart): Promise<RunningService> {
  const { name, service } = start.fn.spec;
  const port = await freePort();
  Object.assign(process.env, { PORT: String(port), HOST });
  return inTime(
    service.startupTimeoutS,
    async () => {
      const made = await start.fn.call({ port, host: HOST });
      while (!(await isOpen(port))) await new Promise((resolve) => setTimeout(resolve, 10));
      return { address: { host: HOST, port }, handler: null, close: () => closeMade(made) };
    },
    () => `${name} has not bound its port`,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function closeMade(made: unknown): Promise<void> {
  const closable = (made ?? {}) as Record<PropertyKey, unknown>;
  for (const name of [Symbol.asyncDispose, "close", "stop"]) {
    const close = closable[name];
    if (typeof close === "function") return close.call(made);
  }
}

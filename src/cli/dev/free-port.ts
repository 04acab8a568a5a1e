import { createServer } from "node:net";
import { DEV_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";

/** The server's usual port, or the next one that nobody listens on; 0, any, where all of these are taken. */
export async function freePort(host: string, from: number = SERVER_DEFAULTS.port): Promise<number> {
  for (let port = from; port < from + DEV_DEFAULTS.portTries; port++) if (await isFree(host, port)) return port;
  return 0;
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

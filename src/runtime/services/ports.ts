import { once } from "node:events";
import { readdir, readFile, readlink } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";

export const HOST = "127.0.0.1";

/** Gives this replica a port of its own, and says so in the environment, where code may read it as soon as it is imported. */
export async function givePort(): Promise<void> {
  Object.assign(process.env, { PORT: String(await freePort()), HOST });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function isOpen(port: number, host = HOST): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, "connect");
    // A port that nobody has may be given to the very socket that tries it, which then meets itself.
    return socket.localPort !== port;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export interface Listening {
  /** An address to connect to. */
  host: string;
  port: number;
}

/** Where this process and the others of its group listen for TCP; null where the system does not tell. */
export async function listeningHere(): Promise<Listening[] | null> {
  if (process.platform !== "linux") return null;
  const [sockets, v4, v6] = await Promise.all([socketsHere(), table("/proc/net/tcp"), table("/proc/net/tcp6")]);
  return [...v4, ...v6].filter(({ inode }) => sockets.has(inode)).map(({ host, port }) => ({ host, port }));
}

const LISTEN = "0A";

/** The listening sockets of this network namespace. */
async function table(path: string): Promise<(Listening & { inode: string })[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((cells) => cells[3] === LISTEN)
    .map((cells) => {
      const [address = "", port = ""] = (cells[1] ?? "").split(":");
      return { host: reachable(address), port: Number.parseInt(port, 16), inode: cells[9] ?? "" };
    });
}

/** The kernel writes words of four bytes in its own order. */
function reachable(hex: string): string {
  if (/^0+$/.test(hex)) return HOST;
  if (hex.length === 8) return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
  // Of the addresses of IPv6 a replica's program listens on its own loopback, or on any, mapped ones included.
  return hex.startsWith("000000000000000000000000") && hex.endsWith("01000000") ? "::1" : HOST;
}

/** Inodes of the sockets that this process and the others of its group hold. */
async function socketsHere(): Promise<Set<string>> {
  const inodes = new Set<string>();
  const group = await groupOf("self");
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || (await groupOf(pid)) !== group) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
      if (link.startsWith("socket:[")) inodes.add(link.slice(8, -1));
    }
  }
  return inodes;
}

/** Null where the process is gone. */
async function groupOf(pid: string): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name before it may hold spaces and parentheses.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2] ?? null;
}

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import type { HopConnection } from "./connection.ts";
import { HopPool } from "./pool.ts";

test("what may not be sent twice passes over connections that have idled, and leaves them to others", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const pool = new HopPool({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }, { maxIdle: 4 });
  const used = await answered(pool.take({ repeatable: true }));
  pool.give(used, null);
  used.idleSince -= 60_000;
  used.idleUntil = Number.POSITIVE_INFINITY;
  const opened = pool.take({ repeatable: false });
  assert.notEqual(opened, used);
  assert.ok(used.isOpen);
  assert.equal(pool.take({ repeatable: true }), used);
  opened.destroy();
  used.destroy();
  pool.close();
  for (const socket of sockets) socket.destroy();
  await once(server.close(), "close");
});

async function answered(connection: HopConnection): Promise<HopConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.begin(
    {
      connected: () => {},
      drained: () => {},
      information: () => {},
      head: () => {},
      body: (_pieces, last) => last && resolve(),
      switched: () => {},
      failed: ({ detail }) => reject(new Error(detail)),
    },
    { method: "GET", maySwitch: false },
  );
  connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await promise;
  return connection;
}

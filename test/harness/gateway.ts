import type { ServiceAddress } from "../../src/protocol/replica.ts";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import { Auth } from "../../src/server/auth.ts";
import { resolveConfig } from "../../src/server/config.ts";
import type { LoadedDeployment } from "../../src/server/deployments/loaded.ts";
import type { GatewayContext } from "../../src/server/gateway/context.ts";
import { Gateway } from "../../src/server/gateway/gateway.ts";
import { Listener } from "../../src/server/http/listener.ts";
import type { TlsKeyPair } from "../../src/server/http/tls.ts";
import type { Log } from "../../src/server/log.ts";
import { Scheduler } from "../../src/server/scheduler/scheduler.ts";
import { type FakeReplica, FakeStarter } from "./fake-replicas.ts";
import { deploymentOf } from "./specs.ts";

const TOKEN = "a-token-for-the-tests";

export interface TestGateway extends AsyncDisposable {
  port: number;
  /** `http://127.0.0.1:7700/demo` */
  url: string;
  token: string;
  starter: FakeStarter;
  scheduler: Scheduler;
  logged: string[];
  stop: AbortController;
}

/**
 * The server's listener, gateway and scheduler before services that the test itself runs: `addressOf` says where each replica listens. For what
 * a service of a deployed app could not be made to do.
 */
export async function startGateway(
  functions: FunctionSpec[],
  addressOf: (replica: FakeReplica) => ServiceAddress | null,
  tls: TlsKeyPair | null = null,
): Promise<TestGateway> {
  const logged: string[] = [];
  const keep = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: () => {}, info: () => {}, warn: keep, error: keep };
  const starter = new FakeStarter();
  starter.onStart = (replica) => {
    replica.address = addressOf(replica);
  };
  let number = 0;
  const scheduler = new Scheduler({
    starter,
    access: () => ({ serverUrl: "", serverToken: "" }),
    nextReplica: () => ++number,
    log: { info: () => {}, warn: () => {} },
    policy: { startBackoffFirstMs: 1, startBackoffMaxMs: 1 },
  });
  const stop = new AbortController();
  let url = "";
  const gateway = new Gateway({
    config: resolveConfig({ port: 0, logLevel: "silent" }, {}),
    auth: new Auth({ token: TOKEN, secret: Buffer.from("secret"), isLive: () => true }),
    scheduler,
    log,
    stopping: stop.signal,
    url: () => url,
  } as Partial<GatewayContext> as GatewayContext);
  const deployment = deploymentOf(1, functions) as unknown as LoadedDeployment;
  gateway.setLive([deployment]);
  scheduler.add(deployment);
  const listener = new Listener({
    log,
    tls,
    handle: (x) => {
      const target = gateway.targetOf(x);
      if (target === null) throw new Error("not an app's path");
      return gateway.serve(x, target);
    },
  });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${port}`;
  return {
    port,
    url: `${url}/demo`,
    token: TOKEN,
    starter,
    scheduler,
    logged,
    stop,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await listener.close({ graceMs: 0 });
      for (const replica of starter.replicas) void replica.kill();
      await scheduler.stop();
    },
  };
}

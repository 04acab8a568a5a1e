import { type Command, type CommandCall, EXIT, textOption } from "../command.ts";

export const up: Command = {
  name: "up",
  summary: "Start the server: API, gateway, queue, and the replicas it starts",
  options: [
    { flags: "--port <port>", description: "Port to listen on; 0 is any free one (default 7700)" },
    { flags: "--host <host>", description: "Address to listen on (default 127.0.0.1)" },
    { flags: "--data <dir>", description: "Data folder (env ATHANOR_DATA; default ~/.local/share/athanor)" },
    { flags: "--domain <domain>", description: "Apps are also reached at <app>.<domain> (default localhost)" },
    {
      flags: "--store <store>",
      description:
        "sqlite, or postgres://role@host:port/database (env ATHANOR_STORE, which keeps a password out of the list of processes; default sqlite)",
    },
    { flags: "--store-connections <n>", description: "Connections to the database at a time (default 10)" },
    {
      flags: "--blobs <dir>",
      description: "Folder of files, that servers of one database share (default: blobs in the data folder)",
    },
    { flags: "--engine <name>", description: "What starts replicas (default process)" },
    { flags: "--token-file <file>", description: "File that holds the token (default: `token` in the data folder)" },
    { flags: "--public-url <url>", description: "Where clients reach it, if a proxy stands before it" },
    { flags: "--max-connections <n>", description: "Connections of clients at a time (default 20000)" },
    {
      flags: "--tls-cert <file>",
      description: "Certificate chain in PEM: with --tls-key, HTTPS and HTTP/2 (env ATHANOR_TLS_CERT)",
    },
    { flags: "--tls-key <file>", description: "The certificate's private key in PEM (env ATHANOR_TLS_KEY)" },
    {
      flags: "--access-log <what>",
      description: "Requests in the log: off, errors, all, or a share such as 0.01 (default errors)",
    },
    {
      flags: "--trust-proxy <addresses>",
      description: "Whose X-Forwarded-For is believed: none, loopback, private, all, or addresses (default none)",
    },
    { flags: "--log-level <level>", description: "trace, debug, info, warn, error, fatal or silent (default info)" },
    { flags: "--blanks <n>", description: "Runtime processes kept ready (default 1)" },
    {
      flags: "--allow-private-webhooks",
      description:
        "Deliver webhooks to this machine and its network too (env ATHANOR_ALLOW_PRIVATE_WEBHOOKS; default: public hosts alone)",
    },
    { flags: "--chaos [seed]", description: "Lose, double, delay and cut calls on purpose, to try handlers out" },
    { flags: "--chaos-anywhere", description: "Allow --chaos on an address that other machines reach" },
  ],
  examples: ["athanor up", "athanor up --port 0 --data ./data --json"],
  async run(call) {
    const { resolveConfig } = await import("../../server/config.ts");
    const { startServer } = await import("../../server/main.ts");
    const config = resolveConfig(flagsOf(call), process.env);
    // Before the start: a signal that comes while it starts must find somebody.
    const stopAsked = stopSignal(call);
    const server = await startServer(config);
    const where = { url: server.url, data_dir: config.dataDir, pid: process.pid };
    call.out.result(where, () =>
      [
        `Athanor is up at ${server.url}`,
        `  data   ${config.dataDir}`,
        ...(config.store.kind === "postgres" ? [`  store  ${config.store.label}`] : []),
        `  token  ${config.token === null ? `in ${config.tokenFile}` : "from ATHANOR_TOKEN"}`,
        ...(config.chaos === null ? [] : [`  chaos  --chaos ${config.chaos} makes the same faults again`]),
        "",
        "Deploy an app with: athanor deploy ENTRY",
      ].join("\n"),
    );
    const reload = (): void => server.reload();
    // On a terminal, SIGHUP is what is left of one that was closed.
    if (config.tls !== null && !process.stderr.isTTY) process.on("SIGHUP", reload);
    await stopAsked;
    process.off("SIGHUP", reload);
    await server.stop();
    call.out.note("Stopped.");
    return EXIT.ok;
  },
};

function flagsOf(call: CommandCall) {
  const names = [
    "host",
    "port",
    "data",
    "domain",
    "tokenFile",
    "publicUrl",
    "store",
    "storeConnections",
    "blobs",
    "engine",
    "maxConnections",
    "tlsCert",
    "tlsKey",
    "accessLog",
    "trustProxy",
    "logLevel",
    "blanks",
  ] as const;
  const { chaos, chaosAnywhere, allowPrivateWebhooks } = call.options;
  return {
    ...Object.fromEntries(names.map((name) => [name, textOption(call, name)])),
    ...(allowPrivateWebhooks === true ? { allowPrivateWebhooks } : {}),
    chaos,
    chaosAnywhere: chaosAnywhere === true,
  };
}

/** Resolves at the first SIGINT or SIGTERM, after which the server drains; the second ends the process at once. */
function stopSignal({ out }: CommandCall): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals) => {
    // What runs in replicas dies with this process: a reaper holds a pipe from it.
    if (asked) process.exit(signal === "SIGINT" ? EXIT.interrupted : EXIT.failed);
    asked = true;
    out.note("Stopping: calls under way are finished first. Once more to stop at once.");
    resolve();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return promise;
}

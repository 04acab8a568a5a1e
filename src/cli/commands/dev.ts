import { type Command, requireArg, textOption } from "../command.ts";

export const dev: Command = {
  name: "dev",
  summary: "Run an app while you write it: a server of its own, live again at every save",
  args: [{ name: "entry", description: "The file that has `new App(...)`" }],
  options: [
    { flags: "--port <port>", description: "Port to listen on (default 7700, or the next free one)" },
    { flags: "--host <host>", description: "Address to listen on (default 127.0.0.1)" },
    { flags: "--data <dir>", description: "Data folder (default .athanor beside the project's package.json)" },
    {
      flags: "--inspect <fn>",
      description: "Open a debugger in the replicas of this function, which then has no time limit",
    },
    { flags: "--chaos [seed]", description: "Lose, double, delay and cut calls on purpose, to try handlers out" },
    {
      flags: "--log-level <level>",
      description: "Of the server's own log: debug, info, warn, error or silent (default error)",
    },
  ],
  examples: ["athanor dev app.ts", "athanor dev app.ts --inspect greet", "athanor dev app.ts --json"],
  async run(call) {
    const { runDev } = await import("../dev/dev.ts");
    const { chaos } = call.options;
    return runDev({
      entry: requireArg(call, "entry"),
      flags: {
        port: textOption(call, "port"),
        host: textOption(call, "host"),
        data: textOption(call, "data"),
        logLevel: textOption(call, "logLevel") ?? "error",
        chaos,
        inspect: textOption(call, "inspect"),
      },
      out: call.out,
    });
  },
};

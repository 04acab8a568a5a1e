import { Command as Commander, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { AthanorError } from "../protocol/errors.ts";
import type { Command, CommandCall } from "./command.ts";
import { EXIT } from "./command.ts";
import { COMMANDS } from "./commands/index.ts";
import { describeFailure, exitStatus } from "./failure.ts";
import { Output, type Streams } from "./output.ts";

const GROUPS: Record<string, string> = {
  app: "Deployed apps",
  deployment: "Versions of apps",
  job: "Queued calls",
  queue: "Queues of functions",
  schedule: "Scheduled functions",
};

/** Runs one command line; resolves with the exit status. */
export async function runCli(argv: string[], streams: Streams): Promise<number> {
  const json = argv.includes("--json");
  let status: number = EXIT.ok;
  const program = makeProgram(streams, json, async (command, call) => {
    status = (await command.run(call)) ?? EXIT.ok;
  });
  // A reader that has seen enough (`| head`) is no failure.
  streams.stdout.once("error", (error: NodeJS.ErrnoException) =>
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed),
  );
  try {
    await program.parseAsync(argv, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return usageStatus(error, json, streams);
    streams.stderr.write(`${describeFailure(error, json)}\n`);
    return exitStatus(error);
  }
}

type RunCommand = (command: Command, call: CommandCall) => Promise<void>;

function makeProgram(streams: Streams, json: boolean, run: RunCommand): Commander {
  const program = new Commander("athanor")
    .description("A self-hosted serverless runtime for TypeScript.")
    .version(packageJson.version, "-V, --version", "Print the version")
    .helpOption("-h, --help", "Print help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .showHelpAfterError("  Next: See --help.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => json || streams.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "Bad usage: ")),
    });
  addGlobalOptions(program);
  for (const command of COMMANDS) addCommand(program, command, streams, run);
  program.addHelpText(
    "after",
    "\nExit status: 0 success, 1 the work failed, 2 bad usage, 3 server unreachable.\nThe server is --url, or ATHANOR_URL, or the one that runs on this machine.",
  );
  return program;
}

function addGlobalOptions(command: Commander): void {
  command.option("--json", "Results as JSON; errors too, on stderr");
  command.option("--url <url>", "The server's address (env ATHANOR_URL)");
  command.option("--ca <file>", "Certificates in PEM to trust beside the system's (env ATHANOR_CA)");
  command.option("--token <token>", "The server's token; ATHANOR_TOKEN keeps it out of the list of processes");
}

function addCommand(program: Commander, command: Command, streams: Streams, run: RunCommand): void {
  const [first = "", second] = command.name.split(" ");
  const parent = second === undefined ? program : groupOf(program, first);
  const leaf = parent.command(second ?? first).description(command.summary);
  for (const arg of command.args ?? []) {
    leaf.argument(arg.required === false ? `[${arg.name}]` : `<${arg.name}>`, arg.description);
  }
  for (const option of command.options ?? []) {
    if (option.required) leaf.requiredOption(option.flags, option.description);
    else leaf.option(option.flags, option.description);
  }
  addGlobalOptions(leaf);
  if (command.examples)
    leaf.addHelpText("after", `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`);
  leaf.action(async (...given: unknown[]) => {
    const options = leaf.optsWithGlobals() as CommandCall["options"];
    const args = Object.fromEntries(
      (command.args ?? []).map((arg, index) => [arg.name, given[index] as string | undefined]),
    );
    await run(command, {
      args,
      options,
      out: new Output(options.json === true, streams),
      api: () => connectTo(options),
    });
  });
}

function groupOf(program: Commander, name: string): Commander {
  const known = program.commands.find((command) => command.name() === name);
  if (known) return known;
  return program
    .command(name)
    .description(GROUPS[name] ?? "")
    .helpCommand(false);
}

async function connectTo(options: CommandCall["options"]) {
  const { connect } = await import("../sdk/connection.ts");
  const { url, token, data } = options;
  const ca = options.ca ?? process.env.ATHANOR_CA;
  if (typeof url === "string" && !/^https?:\/\//.test(url)) {
    throw new AthanorError(
      "usage",
      `--url is ${JSON.stringify(url)}; an address such as http://127.0.0.1:7700 is needed`,
    );
  }
  if (typeof ca === "string" && ca !== "") await trust(ca);
  return connect({
    url: typeof url === "string" ? url : undefined,
    token: typeof token === "string" ? token : undefined,
    data: typeof data === "string" ? data : undefined,
  });
}

/** Commander has written its text; it throws for --help and --version as well. */
function usageStatus(error: CommanderError, json: boolean, streams: Streams): number {
  if (error.exitCode === 0) return EXIT.ok;
  if (json) {
    const detail = error.message.replace(/^error: /, "");
    streams.stderr.write(`${describeFailure(new AthanorError("usage", detail), true)}\n`);
  }
  return EXIT.usage;
}

/** Of this process alone. Throws usage where the file holds no certificate. */
async function trust(file: string): Promise<void> {
  const [{ readFile }, tls] = await Promise.all([import("node:fs/promises"), import("node:tls")]);
  try {
    tls.setDefaultCACertificates([...tls.getCACertificates("default"), await readFile(file, "utf8")]);
  } catch (error) {
    throw new AthanorError("usage", `--ca ${file} cannot be used: ${(error as Error).message}`, {
      hint: "Give a file with certificates in PEM.",
    });
  }
}

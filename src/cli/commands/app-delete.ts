import { AthanorError } from "../../protocol/errors.ts";
import { type Command, type CommandCall, requireArg } from "../command.ts";

export const appDelete: Command = {
  name: "app delete",
  summary: "Delete an app with its deployments, jobs and results",
  args: [{ name: "app", description: "Name of the app" }],
  options: [{ flags: "-y, --yes", description: "Do not ask" }],
  async run(call) {
    const name = requireArg(call, "app");
    if (call.options.yes !== true) await confirm(call, name);
    await (await call.api()).deleteApp(name);
    call.out.result({ app: name, deleted: true }, () => `Deleted ${name}.`);
  },
};

async function confirm({ out }: CommandCall, name: string): Promise<void> {
  if (!process.stdin.isTTY || !out.isInteractive) {
    throw new AthanorError("usage", `deleting ${name} takes its jobs and results with it, and there is nobody to ask`, {
      hint: `Say so: athanor app delete ${name} --yes`,
    });
  }
  const { createInterface } = await import("node:readline/promises");
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`Delete ${name} with all its deployments, jobs and results? Type its name: `);
  prompt.close();
  if (answer.trim() !== name)
    throw new AthanorError("usage", `${name} was not deleted: the name typed was not its own`);
}

import type { Api } from "../sdk/client/api.ts";
import type { Output } from "./output.ts";

/** A command as data: what it is called, what it takes, and what runs. Its `run` imports what is heavy. */
export interface Command {
  /** With its group: `job watch`. */
  name: string;
  summary: string;
  args?: readonly Argument[];
  options?: readonly Option[];
  examples?: readonly string[];
  /** Resolves with the exit status; nothing is 0. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands just end
  run(call: CommandCall): Promise<number | void>;
}

export interface Argument {
  name: string;
  description: string;
  /** Default true. */
  required?: boolean;
}

export interface Option {
  /** As commander has it: `--app-name <name>`. */
  flags: string;
  description: string;
  required?: boolean;
}

export interface CommandCall {
  args: Record<string, string | undefined>;
  options: Record<string, string | boolean | undefined>;
  out: Output;
  /** The server that --url, --token, the environment or the data folder name. */
  api(): Promise<Api>;
}

/** Exit statuses of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, breaking: 4, interrupted: 130 } as const;

export function requireArg(call: CommandCall, name: string): string {
  const value = call.args[name];
  if (value === undefined) throw new Error(`the command has no argument ${name}`);
  return value;
}

/** The text of an option; undefined where it is not given. */
export function textOption(call: CommandCall, name: string): string | undefined {
  const value = call.options[name];
  return typeof value === "string" ? value : undefined;
}

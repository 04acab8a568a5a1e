import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import { type CommandCall, type Option, textOption } from "./command.ts";

export const pageOptions: readonly Option[] = [
  {
    flags: "--limit <n>",
    description: `How many, at most ${SERVER_DEFAULTS.maxListLimit} (default ${SERVER_DEFAULTS.listLimit})`,
  },
  { flags: "--cursor <cursor>", description: "Go on where a list ended" },
];

export function pageQuery(call: CommandCall): { limit?: number; cursor?: string } {
  const limit = numberOption(call, "limit", "--limit", { min: 1, max: SERVER_DEFAULTS.maxListLimit });
  const cursor = textOption(call, "cursor");
  return { ...(limit === undefined ? {} : { limit }), ...(cursor === undefined ? {} : { cursor }) };
}

/** @throws AthanorError `usage` where it is given and no number in the bounds; a whole one, unless `whole` is false. */
export function numberOption(
  call: CommandCall,
  name: string,
  flag: string,
  bounds: { min: number; max: number; whole?: boolean },
): number | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  const whole = bounds.whole !== false;
  const value = (whole ? /^-?\d{1,15}$/ : /^\d{1,15}(?:\.\d{1,6})?$/).test(text) ? Number(text) : Number.NaN;
  if (!(value >= bounds.min && value <= bounds.max)) {
    throw new AthanorError(
      "usage",
      `${flag} is ${JSON.stringify(text)}; a ${whole ? "whole " : ""}number from ${bounds.min} to ${bounds.max} is needed`,
    );
  }
  return value;
}

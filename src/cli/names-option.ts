import { AthanorError } from "../protocol/errors.ts";
import { type CommandCall, textOption } from "./command.ts";

/** Some of the known names, separated by commas; undefined where the option is absent. Throws usage. */
export function namesOption<T extends string>(
  call: CommandCall,
  name: string,
  flag: string,
  known: readonly T[],
): T[] | undefined {
  return textOption(call, name)
    ?.split(",")
    .map((given) => {
      const found = known.find((candidate) => candidate === given.trim());
      if (found === undefined)
        throw new AthanorError("usage", `${flag} has ${JSON.stringify(given)}; of ${known.join(", ")} are needed`);
      return found;
    });
}

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { afterEach, test } from "node:test";
import { WriteStream } from "node:tty";
import { stripVTControlCharacters } from "node:util";
import { Style } from "./style.ts";

const { NO_COLOR, FORCE_COLOR } = process.env;
afterEach(() => {
  restore("NO_COLOR", NO_COLOR);
  restore("FORCE_COLOR", FORCE_COLOR);
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** Node asks the terminal, which knows of NO_COLOR; all else in the environment (`CI`, say) is left out. */
const getColorDepth = () => {
  const { NO_COLOR } = process.env;
  return WriteStream.prototype.getColorDepth({
    TERM: "xterm-256color",
    ...(NO_COLOR === undefined ? {} : { NO_COLOR }),
  });
};
const terminal = () => Object.assign(new PassThrough(), { isTTY: true, getColorDepth });

test("a name keeps its colour on a terminal; with NO_COLOR, and elsewhere, there is none", () => {
  delete process.env.NO_COLOR;
  delete process.env.FORCE_COLOR;
  const colour = new Style(terminal()).name("greet", "greet");
  assert.notEqual(colour, "greet");
  assert.equal(stripVTControlCharacters(colour), "greet");
  assert.equal(new Style(terminal()).name("greet", "greet"), colour);
  assert.equal(new Style(new PassThrough()).name("greet", "greet"), "greet");
  process.env.NO_COLOR = "1";
  assert.equal(new Style(terminal()).name("greet", "greet"), "greet");
});

import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { LineSplitter, newestLines } from "../protocol/lines.ts";

/** Lines of one read of a pipe that are passed on; a flood's older ones are dropped. */
const MAX_LINES_PER_READ = 1000;

/** Reads a process's pipe as lines, to its end. `dropped` is how many were let go before the line. */
export function readLines(pipe: Readable, onLine: (line: string, dropped: number) => void): void {
  let lost = 0;
  const splitter = new LineSplitter((line) => {
    const dropped = lost;
    lost = 0;
    onLine(line, dropped);
  }, SERVER_DEFAULTS.maxLogLineBytes);
  let decoder = new StringDecoder("utf8");
  pipe.on("data", (piece: Buffer) => {
    const { bytes, dropped } = newestLines(piece, MAX_LINES_PER_READ);
    if (dropped > 0) {
      // The bytes before the first kept line are gone, and with them what the decoder and the splitter held of the first that was lost.
      decoder = new StringDecoder("utf8");
      splitter.discard();
      lost += dropped;
    }
    splitter.push(decoder.write(bytes as Buffer));
  });
  pipe.on("end", () => {
    splitter.push(decoder.end());
    splitter.end();
  });
  pipe.on("error", () => {});
}

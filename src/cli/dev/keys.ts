/** What the keys do in a terminal; elsewhere nothing is read. */
export interface Keys {
  redeploy(): void;
  stop(): void;
}

type Terminal = Pick<NodeJS.ReadStream, "isTTY" | "setRawMode" | "on" | "off" | "resume" | "pause">;

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

/** Listens until the returned function is called. In raw mode the terminal hands over Ctrl-C as a key. */
export function listenToKeys(input: Terminal, keys: Keys): () => void {
  if (input.isTTY !== true) return () => {};
  const onData = (data: Buffer | string): void => {
    for (const key of String(data)) {
      if (key === "r") keys.redeploy();
      else if (key === "q" || key === CTRL_C || key === CTRL_D) keys.stop();
    }
  };
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return () => {
    input.off("data", onData);
    input.setRawMode(false);
    input.pause();
  };
}

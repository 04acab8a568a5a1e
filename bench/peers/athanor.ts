import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { end, startUntil, temporaryFolder } from "./temporary.ts";

const root = resolve(import.meta.dirname, "../..");
/** The CLI as it is installed. */
export const athanorProgram = join(root, "bin/athanor.mjs");

export interface AthanorServer extends AsyncDisposable {
  url: string;
  token: string;
  pid: number;
}

/** The built server as a user starts it, on a free port with its own data folder, with an app deployed: the bench app, if no other is named. */
export async function startAthanor(options: { storeUrl?: string; entry?: string } = {}): Promise<AthanorServer> {
  const folder = await temporaryFolder();
  const args = [athanorProgram, "up", "--port", "0", "--data", folder.path];
  const { child, match } = await startUntil(process.execPath, args, {
    ...(options.storeUrl === undefined ? {} : { env: { ...process.env, ATHANOR_STORE: options.storeUrl } }),
    pattern: /http:\/\/127\.0\.0\.1:\d+/,
  });
  const url = match[0];
  const token = readFileSync(join(folder.path, "token"), "utf8").trim();
  const env = { ...process.env, ATHANOR_URL: url, ATHANOR_TOKEN: token };
  const entry = options.entry ?? join(root, "bench/fixtures/athanor-app.ts");
  execFileSync(process.execPath, [athanorProgram, "deploy", entry], {
    env,
    stdio: "ignore",
  });
  if (child.pid === undefined) throw new Error("the server has no pid");
  return {
    url,
    token,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await end(child);
      await folder[Symbol.asyncDispose]();
    },
  };
}

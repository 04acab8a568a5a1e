import { join } from "node:path";
import type { ServiceStart } from "./service.ts";

/** What a socket's address can hold on the systems that Node runs on, its final zero left out. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Where the service of this replica listens. */
export function socketPath({ workDir, shortDir }: ServiceStart): string {
  const usual = join(workDir, "service.sock");
  return Buffer.byteLength(usual) <= MAX_SOCKET_PATH_BYTES ? usual : join(shortDir, `${process.pid}.sock`);
}

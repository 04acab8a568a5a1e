import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TlsKeyPair } from "../../src/server/http/tls.ts";
import { selfSigned } from "./certificate.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A certificate of this machine's own, for a listener; `ca` is what its clients trust. */
export async function tlsForTests(undo: AsyncDisposableStack): Promise<{ tls: TlsKeyPair; ca: string }> {
  const folder = await mkdtemp(join(tmpdir(), "athanor-tls-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const { cert, key } = selfSigned();
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key, { mode: 0o600 });
  return { tls: new TlsKeyPair(files, log), ca: cert };
}

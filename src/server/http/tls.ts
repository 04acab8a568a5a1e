import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync, unwatchFile, watchFile } from "node:fs";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";

/** PEM files, by absolute paths. */
export interface TlsFiles {
  /** The server's own certificate, and after it those that lead to a known authority. */
  cert: string;
  key: string;
}

interface KeyPair {
  cert: Buffer;
  key: Buffer;
  minVersion: "TLSv1.2";
}

const bad = (detail: string, cause?: unknown): AthanorError => new AthanorError("config_invalid", detail, { cause });

/**
 * The certificate and its key, read anew when their files change.
 *
 *   loaded --the files change, reload()--> loaded, where they fit together; else the old ones stay, and the log says why
 */
export class TlsKeyPair {
  readonly #files: TlsFiles;
  readonly #log: Log;
  #changed: ((pair: KeyPair) => void) | null = null;
  #current: KeyPair;

  /** Throws config_invalid naming the file and what is wrong with it. */
  constructor(files: TlsFiles, log: Log) {
    this.#files = files;
    this.#log = log;
    this.#current = this.#read();
  }

  get current(): KeyPair {
    return this.#current;
  }

  /** Calls back with each new pair, until `stop`. */
  follow(changed: (pair: KeyPair) => void): void {
    this.#changed = changed;
    for (const file of [this.#files.cert, this.#files.key])
      watchFile(file, { persistent: false, interval: HTTP_DEFAULTS.tlsFilesCheckMs }, this.#reloadChanged);
  }

  stop(): void {
    this.#changed = null;
    for (const file of [this.#files.cert, this.#files.key]) unwatchFile(file, this.#reloadChanged);
  }

  /** False where the files cannot be used: the old pair stays. */
  reload(): boolean {
    try {
      this.#current = this.#read();
    } catch (error) {
      this.#log.error(
        { err: (error as Error).message },
        "the TLS certificate stays as it was: its files cannot be used",
      );
      return false;
    }
    this.#changed?.(this.#current);
    this.#log.info({ validTo: new X509Certificate(this.#current.cert).validTo }, "TLS certificate loaded");
    return true;
  }

  readonly #reloadChanged = (): void => void this.reload();

  #read(): KeyPair {
    const cert = readPem("--tls-cert", this.#files.cert);
    const key = readPem("--tls-key", this.#files.key);
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(cert);
    } catch (error) {
      throw bad(`--tls-cert ${this.#files.cert} holds no certificate in PEM: ${(error as Error).message}`, error);
    }
    let fits: boolean;
    try {
      fits = certificate.checkPrivateKey(createPrivateKey(key));
    } catch (error) {
      const encrypted = (error as NodeJS.ErrnoException).code === "ERR_MISSING_PASSPHRASE";
      const why = encrypted
        ? "it is encrypted, and there is nobody to ask for its passphrase"
        : (error as Error).message;
      throw bad(`--tls-key ${this.#files.key} holds no private key in PEM that can be read: ${why}`, error);
    }
    if (!fits) throw bad(`the certificate in ${this.#files.cert} is not of the key in ${this.#files.key}`);
    this.#warn(certificate);
    return { cert, key, minVersion: "TLSv1.2" };
  }

  #warn(certificate: X509Certificate): void {
    const { validTo } = certificate;
    if (Date.parse(validTo) < Date.now())
      this.#log.warn({ file: this.#files.cert, validTo }, "the TLS certificate has expired: clients will refuse it");
    if ((statSync(this.#files.key).mode & 0o007) !== 0)
      this.#log.warn(
        { file: this.#files.key },
        "every user of this machine may read the TLS key; take that from them with chmod o=",
      );
  }
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw bad(`${option} ${file} cannot be read: ${(error as Error).message}`, error);
  }
}

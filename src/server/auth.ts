import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import type { Config } from "./config.ts";
import { isLoopback } from "./config-values.ts";
import type { Store } from "./store/store.ts";

const SECRET_BYTES = 32;

/** Who a request comes from. */
export type Principal =
  /** The holder of the server's token: may do anything. */
  | { kind: "operator" }
  /** Code in a replica: may spawn, watch and cancel jobs of its own app, while the replica lives. */
  | { kind: "replica"; app: string; replicaId: string };

/** The tokens of one server. The secret, kept 0600 in the data folder, signs what the server gives out, so nothing of it need be stored. */
export class Auth {
  readonly token: string;
  readonly #tokenDigest: Buffer;
  readonly #secret: Buffer;
  readonly #isLive: (replicaId: string) => boolean;

  constructor(p: { token: string; secret: Buffer; isLive: (replicaId: string) => boolean }) {
    this.token = p.token;
    this.#tokenDigest = digestOf(p.token);
    this.#secret = p.secret;
    this.#isLive = p.isLive;
  }

  /** Of an Authorization header. Null: no such token. */
  authenticate(header: string | undefined | null): Principal | null {
    const match = /^Bearer +([\x21-\x7e]{1,600}) *$/i.exec(header ?? "");
    const token = match?.[1];
    if (token === undefined) return null;
    if (timingSafeEqual(digestOf(token), this.#tokenDigest)) return { kind: "operator" };
    return this.#authenticateReplica(token);
  }

  /** Holds for the app while the replica lives. */
  replicaToken(app: string, replicaId: string): string {
    return ["replica", app, replicaId, this.#sign(`replica ${app} ${replicaId}`)].join("/");
  }

  /** Opens one job, and no other, to whoever has its link. */
  jobKey(job: number): string {
    return this.#sign(`job ${job}`);
  }

  /** What a receiver knows the webhook of this job by. No dot is in it, as the signed text has them between its parts. */
  webhookId(job: number): string {
    return `msg_${this.#sign(`webhook ${job}`)}`;
  }

  isJobKey(job: number, key: string | null | undefined): boolean {
    return typeof key === "string" && timingSafeEqual(digestOf(key), digestOf(this.jobKey(job)));
  }

  #authenticateReplica(token: string): Principal | null {
    const [kind, app, replicaId, signature, ...more] = token.split("/");
    if (
      kind !== "replica" ||
      app === undefined ||
      replicaId === undefined ||
      signature === undefined ||
      more.length > 0
    )
      return null;
    const expected = this.#sign(`replica ${app} ${replicaId}`);
    if (!timingSafeEqual(digestOf(signature), digestOf(expected)) || !this.#isLive(replicaId)) return null;
    return { kind: "replica", app, replicaId };
  }

  #sign(text: string): string {
    return createHmac("sha256", this.#secret).update(text).digest("base64url");
  }
}

/** Equal lengths, so that comparing takes the same time whatever was sent. */
const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * ATHANOR_TOKEN, or the token file's; null: the token is still to be made, for a server that only this machine reaches. Throws no_token
 * where others would reach it under a token that nobody has been given yet.
 */
export function givenToken(config: Config): string | null {
  if (config.token !== null) return config.token;
  if (existsSync(config.tokenFile)) return readToken(config);
  if (config.tokenFileGiven)
    throw new AthanorError("config_invalid", `--token-file ${config.tokenFile} does not exist`);
  if (isLoopback(config.host)) return null;
  throw new AthanorError(
    "no_token",
    `cannot bind to ${config.host}: neither ATHANOR_TOKEN is set nor is there a token file at ${config.tokenFile}`,
  );
}

/** Makes the token of a first start, and keeps it in the token file: servers that agree on a secret make the same one. */
export function makeToken(config: Config, secret: Buffer): string {
  return keep(config.tokenFile, createHmac("sha256", secret).update("operator token").digest("base64url"));
}

/**
 * The key that signs replica tokens and job links; the first start writes it. Servers of a shared store take the one that the first of them
 * has, so that a link which one gave opens on all.
 */
export async function agreeSecret(dataDir: string, store: Pick<Store, "shared" | "metaClaim">): Promise<Buffer> {
  const secret = loadSecret(dataDir);
  if (!store.shared) return secret;
  const agreed = await store.metaClaim({ key: "secret", value: secret.toString("base64url") });
  return secretOf(agreed, "the secret that the store keeps");
}

/** The key of a server alone. */
export function loadSecret(dataDir: string): Buffer {
  const file = join(dataDir, "secret");
  const text = existsSync(file)
    ? readFileSync(file, "utf8").trim()
    : keep(file, randomBytes(SECRET_BYTES).toString("base64url"));
  return secretOf(text, file);
}

function secretOf(text: string, where: string): Buffer {
  const secret = Buffer.from(text, "base64url");
  if (secret.length === SECRET_BYTES) return secret;
  throw new AthanorError(
    "config_invalid",
    `${where} is damaged: ${SECRET_BYTES} bytes in base64url are needed; delete it to have a new one made`,
  );
}

function readToken(config: Config): string {
  const token = readFileSync(config.tokenFile, "utf8").trim();
  if (!/^[\x21-\x7e]{16,512}$/.test(token)) {
    throw new AthanorError(
      "config_invalid",
      `the token in ${config.tokenFile} is not 16 to 512 visible ASCII characters`,
    );
  }
  // A file that the user keeps elsewhere may be a read-only mount with its own rights.
  if (!config.tokenFileGiven) chmodSync(config.tokenFile, 0o600);
  return token;
}

function keep(file: string, text: string): string {
  writeFileSync(file, `${text}\n`, { mode: 0o600, flag: "wx" });
  return text;
}

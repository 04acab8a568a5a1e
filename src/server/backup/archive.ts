import { AthanorError } from "../../protocol/errors.ts";

/**
 * What a backup holds, in this order: `manifest.json`; `athanor.db`, a copy of the database; `secret` and `token`, so that links and clients
 * hold; `replica-number`; and `blobs/ab/ab12…`, every file that the database needs, the uploads of deployments among them. Folders of
 * deployments and installed packages are made of the uploads when they are needed; logs of replicas are not kept.
 */
export const MANIFEST = "manifest.json";
export const DATABASE = "athanor.db";
/** Copied as they are, where they are there. */
export const SMALL_FILES = ["secret", "token", "replica-number"] as const;

export const FORMAT = 1;

export interface Manifest {
  format: typeof FORMAT;
  /** Of Athanor. */
  version: string;
  /** ISO 8601. */
  created_at: string;
}

export const blobName = (sha256: string): string => `blobs/${sha256.slice(0, 2)}/${sha256}`;

const NAME = /^(?:manifest\.json|athanor\.db|secret|token|replica-number|blobs\/([0-9a-f]{2})\/\1[0-9a-f]{62})$/;

/** Throws backup_invalid for any other name, so that nothing is ever written outside of the data folder. */
export function checkName(name: string): void {
  if (!NAME.test(name))
    throw new AthanorError(
      "backup_invalid",
      `The archive holds ${JSON.stringify(name.slice(0, 120))}, which no backup does.`,
    );
}

export function readManifest(text: string): Manifest {
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw new AthanorError("backup_invalid", `The archive's ${MANIFEST} is not JSON.`);
  }
  if (manifest.format === FORMAT) return manifest as Manifest;
  throw new AthanorError(
    "backup_invalid",
    `The backup's format is ${JSON.stringify(manifest.format)}; this version of athanor reads ${FORMAT}.`,
    { hint: `Restore it with the version that wrote it, ${JSON.stringify(manifest.version)}, or a newer one.` },
  );
}

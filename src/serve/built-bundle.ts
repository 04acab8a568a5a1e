import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { AthanorError } from "../protocol/errors.ts";
import type { DeploymentUpload } from "../protocol/spec.ts";
import { APP_STATE, type AppState, registry } from "../sdk/registry.ts";

/** Each is a world of its own: what one test does to its state, another does not see. */
let imported = 0;

/** Imports the bundle in this process, and returns the app that it makes. Packages that are not in it are found from the folder. */
export async function importBuilt(upload: DeploymentUpload, folder: string | null): Promise<AppState> {
  const dir = folder ?? (await mkdtemp(path.join(tmpdir(), "athanor-serve-")));
  try {
    await mkdir(dir, { recursive: true });
    const file = path.join(dir, `${upload.digest}.mjs`);
    await writeWhole(`${file}.map`, upload.sourceMap);
    await writeWhole(file, `${upload.bundle}\n//# sourceMappingURL=${upload.digest}.mjs.map\n`);
    const { apps } = registry();
    const before = apps.length;
    await import(`${pathToFileURL(file).href}?${++imported}`);
    const made = apps.slice(before).find((app) => app[APP_STATE].name === upload.spec.name);
    if (made === undefined)
      throw new AthanorError("import_failed", `the bundle makes no new App(${JSON.stringify(upload.spec.name)})`);
    // It is this caller's alone; whoever looks for apps means those that were imported as they are written.
    apps.splice(apps.indexOf(made), 1);
    return made[APP_STATE];
  } finally {
    if (folder === null) await rm(dir, { recursive: true, force: true });
  }
}

/** Another process may be about to read it. */
async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}

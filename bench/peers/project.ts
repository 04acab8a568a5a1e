import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { temporaryFolder } from "./temporary.ts";

const modules = resolve(import.meta.dirname, "../node_modules");

/** A project in a folder of its own that finds the peers' packages, and Athanor as it is installed. Gone at the end. */
export async function temporaryProject(): Promise<AsyncDisposable & { path: string }> {
  const folder = await temporaryFolder();
  const installed = join(folder.path, "node_modules");
  await mkdir(installed);
  for (const name of await readdir(modules))
    if (!name.startsWith(".")) await symlink(join(modules, name), join(installed, name));
  await symlink(resolve(modules, "../.."), join(installed, "athanor"));
  const compilerOptions = { strict: true, module: "nodenext", target: "es2024", skipLibCheck: true };
  await writeFile(
    join(folder.path, "package.json"),
    `{ "name": "bench-project", "type": "module", "private": true }\n`,
  );
  await writeFile(join(folder.path, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  return folder;
}

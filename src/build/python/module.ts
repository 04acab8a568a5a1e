import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { AthanorError } from "../../protocol/errors.ts";

interface Target {
  /** `main:app` */
  target: string;
  /** Relative to the entry file's folder. */
  dir: string;
  entryDir: string;
  requirements: string[];
  /** Of the declaration, for messages. */
  place: string;
}

/**
 * The folders that modules come from, the app's own and, where the module is there, the `src` in it. Throws build_failed where the module is in
 * neither, and where it cannot have such an attribute.
 */
export function findModule(p: Target): string[] {
  const [module = "", attribute = ""] = p.target.split(":");
  const src = path.posix.join(p.dir, "src");
  for (const paths of [[p.dir], [p.dir, src]]) {
    const file = moduleFile(path.join(p.entryDir, paths.at(-1) ?? "."), module);
    if (file === null) continue;
    checkAttribute(p, file, attribute);
    return paths;
  }
  // An app may also be a package's own.
  if (isInPackage(module, p.requirements)) return [p.dir];
  const inModules = module.split(".").join("/");
  throw new AthanorError(
    "build_failed",
    `${p.place}: there is no module ${module}: neither ${inModules}.py nor ${inModules}/__init__.py is in ${shown(p, p.dir)} or ${shown(p, src)}`,
    { hint: "Name the module as Python imports it from there, or give the folder that it is in as `dir`." },
  );
}

function moduleFile(dir: string, module: string): string | null {
  const base = path.join(dir, ...module.split("."));
  return (
    [`${base}.py`, path.join(base, "__init__.py")].find((file) => existsSync(file) && statSync(file).isFile()) ?? null
  );
}

function checkAttribute(p: Target, file: string, attribute: string): void {
  const [name = ""] = attribute.replace("()", "").split(".");
  const text = readFileSync(file, "utf8");
  // Whatever a module has by other means than its own text names one of these.
  if (
    new RegExp(`(?<![\\w.])${name}(?!\\w)`).test(text) ||
    /import \*|__getattr__|globals\(|setattr\(|exec\(/.test(text)
  )
    return;
  throw new AthanorError(
    "build_failed",
    `${p.place}: ${path.relative(p.entryDir, file)} has no ${name}, which ${p.target} names`,
    {
      hint: "Name the app that the module makes, or `module:factory()` where a function makes it.",
    },
  );
}

function isInPackage(module: string, requirements: string[]): boolean {
  const plain = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, "-");
  const [top = ""] = module.split(".");
  return requirements.some((line) => plain(/^[\w.-]+/.exec(line)?.[0] ?? "") === plain(top));
}

function shown(p: Target, dir: string): string {
  return `${path.basename(p.entryDir)}/${dir === "." ? "" : dir}`.replace(/\/$/, "");
}

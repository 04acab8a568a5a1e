/** Names that are taken from a module; all: what takes them cannot tell which, as where the module is handed on as an object. */
export type Taken = ReadonlySet<string> | "all";

/**
 * What a bundled file takes from modules outside it whose specifiers begin with `prefix`, by the rest of the specifier, and how many statements were
 * read: who asks knows from esbuild how many there are. The text is esbuild's, which begins each import at the start of a line, with the names alone that
 * are used.
 */
export function takenFrom(code: string, prefix: string): { taken: Map<string, Taken>; statements: number } {
  const taken = new Map<string, Taken>();
  let statements = 0;
  for (const [text, clause = "", module = ""] of code.matchAll(statementsOf(prefix))) {
    const names = text.startsWith("export *") ? "all" : namesIn(clause, code, text);
    taken.set(module, both(taken.get(module) ?? new Set(), names));
    statements++;
  }
  return { taken, statements };
}

export function both(one: Taken, other: Taken): Taken {
  return one === "all" || other === "all" ? "all" : one.union(other);
}

/** A name that is no identifier stands in quotes; those that hold what ends a name are not read. */
const QUOTED_NAME = String.raw`"[^"\\,;{}]*"(?= as\b|,|\s*\})`;

function statementsOf(prefix: string): RegExp {
  const literal = prefix.replace(/[^\w]/g, "\\$&");
  return new RegExp(`^(?:im|ex)port\\b((?:[^"';]|${QUOTED_NAME})*)"${literal}([^"]*)"(?: with \\{[^{}]*\\})?;$`, "gm");
}

const DEFAULT = /^\s*[^\s,{}*]+\s*(?:,|from\s*$)/;
const STAR = /\*\s*as\s+([^\s,{}]+)/;

function namesIn(clause: string, code: string, statement: string): Taken {
  const names = new Set<string>();
  if (DEFAULT.test(clause)) names.add("default");
  for (const item of /\{([^}]*)\}/.exec(clause)?.[1]?.split(",") ?? []) {
    const [, quoted, plain] = /^\s*(?:"([^"]*)"|(\S+))/.exec(item) ?? [];
    const name = quoted ?? plain;
    if (name !== undefined) names.add(name);
  }
  const local = STAR.exec(clause)?.[1];
  return local === undefined ? names : both(names, membersUsed(code.replace(statement, ""), local));
}

/** Of an object that is imported as a whole, the members that the code reads; all where it does anything else with it. */
function membersUsed(code: string, local: string): Taken {
  const names = new Set<string>();
  // Not `other.local`, but `...local`.
  const before = String.raw`(?<![\p{ID_Continue}$])(?<!(?<!\.\.)\.)`;
  const member = String.raw`(?![\p{ID_Continue}$])(?:\.([\p{ID_Start}$_][\p{ID_Continue}$]*))?`;
  for (const [, name] of code.matchAll(new RegExp(before + local.replaceAll("$", "\\$") + member, "gu"))) {
    if (name === undefined) return "all";
    names.add(name);
  }
  return names;
}

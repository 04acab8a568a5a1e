/**
 * Lets V8 compile the modules of a chunk while it compiles the chunk, since they run at its load, and what is compiled then is what Node keeps for the next
 * load. V8 does so with functions that begin with a parenthesis.
 *
 * The text is esbuild's, where each module is a section after its path in a comment. `paths` are those of all modules: what else looks like the beginning of
 * a section is in a text that a module holds. No line is added or taken away, and columns change in no line that has a source.
 */
export function compiledEagerly(code: string, paths: ReadonlySet<string>): string {
  const sections: string[] = [];
  for (const part of code.split(/\n\n(?=\/\/ )/)) {
    const path = /^\/\/ (.*)$/m.exec(part)?.[1] ?? "";
    if (sections.length === 0 || paths.has(path)) sections.push(part);
    else sections.push(`${sections.pop()}\n\n${part}`);
  }
  return sections.map(eagerSection).join("\n\n");
}

const WRAPPER = /^(var \w+ = __(?:esm|commonJS)\(\{\n {2}"[^"\n]*")(\([\w, ]*\) \{\n)/m;
const END = /\n {2}\}\n\}\);$/;

function eagerSection(section: string): string {
  if (!WRAPPER.test(section) || !END.test(section)) return section;
  return section.replace(WRAPPER, "$1: (function$2").replace(END, "\n  })\n});");
}

/** Takes the fenced blocks out of a Markdown text. */

export interface Snippet {
  language: string;
  /** The word after the language: the file that the block is. */
  file: string | null;
  text: string;
  /** The first line of the text, from 1. */
  line: number;
  /** What the block prints: a `json` or `text` block right below it. */
  prints: string | null;
  /** Why it is not run: a comment `<!-- not run: REASON -->` right above it. */
  notRun: string | null;
}

const OUTPUT_LANGUAGES = ["json", "text"];

export function snippetsOf(markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const fence = /^```(\S+) ?(\S+)?$/.exec(lines[at] ?? "");
    if (!fence) continue;
    const end = lines.indexOf("```", at + 1);
    if (end < 0) throw new Error(`the block that begins in line ${at + 1} has no end`);
    const text = lines.slice(at + 1, end).join("\n");
    const [, language = "", file = null] = fence;
    const above = snippets.at(-1);
    if (OUTPUT_LANGUAGES.includes(language) && lines[at - 1] === "```" && above) above.prints = text;
    else {
      const notRun = /^<!-- not run: (.+) -->$/.exec(lines[at - 1] ?? "")?.[1] ?? null;
      snippets.push({ language, file, text, line: at + 2, prints: null, notRun });
    }
    at = end;
  }
  return snippets;
}

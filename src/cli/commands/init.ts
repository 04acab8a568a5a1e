import type { Command } from "../command.ts";

export const init: Command = {
  name: "init",
  summary: "Write a small app to start from: app.ts, package.json, tsconfig.json, athanor.json",
  args: [
    {
      name: "dir",
      description: "Folder to write into, made where it is missing (default: the current one)",
      required: false,
    },
  ],
  async run({ args, out }) {
    const { writeTemplate } = await import("../template.ts");
    const { dir, files } = await writeTemplate(args.dir ?? ".");
    out.result({ dir, files }, () => {
      const enter = args.dir === undefined || args.dir === "." ? "" : `  cd ${args.dir}\n`;
      const written = files.map((file) => `  ${file}`).join("\n");
      return `Wrote in ${dir}:\n${written}\n\nNext:\n${enter}  npm install\n  npx athanor up            # in a terminal of its own: the server\n  npx athanor deploy app.ts\n  curl 'http://127.0.0.1:7700/demo/greet?name=you'`;
    });
  },
};

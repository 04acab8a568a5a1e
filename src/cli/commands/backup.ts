import { join, resolve } from "node:path";
import { dataFolder } from "../../sdk/connection.ts";
import { type Command, EXIT, requireArg, textOption } from "../command.ts";

export const backup: Command = {
  name: "backup",
  summary: "Copy a server's data, while it runs or not, to one file",
  args: [{ name: "file", description: "Archive to write, as athanor.tar.gz; only its owner can read it" }],
  options: [
    { flags: "--data <dir>", description: "Data folder (env ATHANOR_DATA; default ~/.local/share/athanor)" },
    { flags: "--blobs <dir>", description: "Folder of files (env ATHANOR_BLOBS; default: blobs in the data folder)" },
    { flags: "--force", description: "Replace the file where it is there" },
  ],
  examples: ["athanor backup /backups/monday.tar.gz"],
  async run(call) {
    const { backUp } = await import("../../server/backup/backup.ts");
    const dataDir = dataFolder(textOption(call, "data"));
    const blobs = textOption(call, "blobs") ?? (process.env.ATHANOR_BLOBS || undefined);
    const report = await backUp({
      dataDir,
      blobsDir: blobs === undefined ? join(dataDir, "blobs") : resolve(blobs),
      file: requireArg(call, "file"),
      force: call.options.force === true,
    });
    const { file, bytes, blobs: files, problems } = report;
    call.out.result({ file, bytes, blobs: files, problems }, () =>
      [`Wrote ${file}: ${bytes} bytes, ${files} files`, ...problems.map((problem) => `  WRONG  ${problem}`)].join("\n"),
    );
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

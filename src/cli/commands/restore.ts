import { dataFolder } from "../../sdk/connection.ts";
import { type Command, EXIT, requireArg, textOption } from "../command.ts";

export const restore: Command = {
  name: "restore",
  summary: "Fill a data folder from a backup",
  args: [{ name: "file", description: "What `athanor backup` wrote" }],
  options: [
    { flags: "--data <dir>", description: "Data folder (env ATHANOR_DATA; default ~/.local/share/athanor)" },
    { flags: "--force", description: "Into a folder that is not empty; what is there is moved aside" },
  ],
  examples: ["athanor restore /backups/monday.tar.gz --data ./data"],
  async run(call) {
    const { restore: run } = await import("../../server/backup/restore.ts");
    const dataDir = dataFolder(textOption(call, "data"));
    const report = await run({ file: requireArg(call, "file"), dataDir, force: call.options.force === true });
    const { createdAt, blobs, replaced, problems } = report;
    call.out.result({ data_dir: dataDir, created_at: createdAt, blobs, replaced, problems }, () =>
      [
        `Restored ${dataDir} as of ${createdAt}, with ${blobs} files`,
        ...(replaced === null ? [] : [`  before  ${replaced}`]),
        ...problems.map((problem) => `  WRONG  ${problem}`),
      ].join("\n"),
    );
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

import { JOB_STATUSES } from "../../protocol/job.ts";
import { type Command, textOption } from "../command.ts";
import { pageOptions, pageQuery } from "../paging.ts";
import { showJobs } from "../show.ts";

export const jobList: Command = {
  name: "job list",
  summary: "List jobs, newest first",
  options: [
    { flags: "--app-name <name>", description: "Of this app alone" },
    { flags: "--function-name <name>", description: "Of this function alone" },
    { flags: "--status <status>", description: `One of ${JOB_STATUSES.join(", ")}, or several with commas` },
    { flags: "--key <key>", description: "With this concurrency key alone" },
    { flags: "--parent <id>", description: "Made by the code of this job" },
    ...pageOptions,
  ],
  async run(call) {
    const page = await (await call.api()).listJobs({
      app: textOption(call, "appName"),
      function: textOption(call, "functionName"),
      status: textOption(call, "status"),
      concurrency_key: textOption(call, "key"),
      parent: textOption(call, "parent"),
      ...pageQuery(call),
    });
    call.out.result(page, () => {
      const more = page.next_cursor === null ? "" : `\nMore: --cursor ${page.next_cursor}`;
      return `${showJobs(page.items)}${more}`;
    });
  },
};

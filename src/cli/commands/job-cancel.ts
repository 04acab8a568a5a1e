import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { CancelManyRequest } from "../../protocol/wire.ts";
import { type Command, type CommandCall, textOption } from "../command.ts";

const STOPPABLE = ["queued", "running"] as const;

export const jobCancel: Command = {
  name: "job cancel",
  summary:
    "Cancel a job, or all that fit: code's signal aborts, and after a grace it is killed; jobs that it made go with it",
  args: [{ name: "id", description: "jobs:12, or 12; else what follows says which", required: false }],
  options: [
    { flags: "--app-name <name>", description: "All of this app" },
    { flags: "--function-name <name>", description: "All of this function" },
    { flags: "--status <status>", description: `All that are ${STOPPABLE.join(" or ")}` },
    { flags: "--key <key>", description: "All with this concurrency key" },
    { flags: "--parent <id>", description: "All that the code of this job has made" },
    { flags: "--all", description: "All there are" },
  ],
  examples: ["athanor job cancel jobs:12", "athanor job cancel --app-name demo --status queued"],
  async run(call) {
    const id = call.args.id;
    const filter = filterOf(call);
    const filtered = Object.keys(filter).length > 0;
    if ((id === undefined) !== filtered) {
      throw new AthanorError(
        "usage",
        filtered ? `both ${id} and a filter are given: choose one` : "which job is not said",
        {
          hint: "Give a job's id, or --app-name, --function-name, --status, --key, --parent or --all.",
        },
      );
    }
    const api = await call.api();
    if (id === undefined) {
      const done = await api.cancelJobs(filter);
      call.out.result(done, () => `${done.cancelled} cancelled, ${done.stopping} being stopped.`);
      return;
    }
    const job = await api.cancelJob(id);
    call.out.result(job, () =>
      isFinal(job.status) ? `${job.job_id} is ${job.status}.` : `${job.job_id} is being stopped.`,
    );
  },
};

function filterOf(call: CommandCall): CancelManyRequest {
  const [app, name, status] = [
    textOption(call, "appName"),
    textOption(call, "functionName"),
    textOption(call, "status"),
  ];
  const [key, parent] = [textOption(call, "key"), textOption(call, "parent")];
  return {
    ...(app === undefined ? {} : { app }),
    ...(name === undefined ? {} : { function: name }),
    ...(status === undefined ? {} : { status: statusesOf(status) }),
    ...(key === undefined ? {} : { concurrency_key: key }),
    ...(parent === undefined ? {} : { parent_id: parent }),
    ...(call.options.all === true ? { all: true } : {}),
  };
}

function statusesOf(text: string): (typeof STOPPABLE)[number][] {
  return text.split(",").map((part) => {
    const status = STOPPABLE.find((known) => known === part.trim());
    if (status !== undefined) return status;
    throw new AthanorError("usage", `--status is ${JSON.stringify(text)}; ${STOPPABLE.join(", ")} or both are needed`);
  });
}

import { SPAWN_LIMITS as LIMITS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { JobJson, SpawnOptionsJson } from "../../protocol/wire.ts";
import type { Api } from "../../sdk/client/api.ts";
import { type Command, type CommandCall, EXIT, requireArg, textOption } from "../command.ts";
import { numberOption } from "../paging.ts";

export const run: Command = {
  name: "run",
  summary: "Run a function as a job, wait for it and print its result as JSON",
  args: [{ name: "function", description: "Name of the function" }],
  options: [
    { flags: "--app-name <name>", description: "The app it belongs to", required: true },
    {
      flags: "--payload <json>",
      description: 'Its arguments: {"args":[…],"kwargs":{…}}; @FILE reads a file, @- stdin (default {})',
    },
    {
      flags: "--priority <n>",
      description: `From ${LIMITS.minPriority} to ${LIMITS.maxPriority}; higher starts sooner`,
    },
    { flags: "--delay <seconds>", description: "Not before so many seconds" },
    { flags: "--key <key>", description: "Its concurrency key" },
    { flags: "--watch", description: "Print the job's events instead of its result" },
    { flags: "--detach", description: "Do not wait: print the job's id" },
  ],
  examples: [
    `athanor run infer --app-name demo --payload '{"args":["hello"]}'`,
    "athanor run read --app-name reader --payload @page.json --watch",
  ],
  async run(call) {
    if (call.options.watch === true && call.options.detach === true) {
      throw new AthanorError("usage", "--watch and --detach are both given: choose one");
    }
    const { readPayload } = await import("../payload.ts");
    const options = spawnOptions(call);
    const payload = { ...(await readPayload(textOption(call, "payload") ?? "{}")), ...options };
    const api = await call.api();
    const { toWireName } = await import("../../protocol/names.ts");
    const name = toWireName(requireArg(call, "function"));
    const job = await api.spawn(textOption(call, "appName") ?? "", name, payload, {
      idempotencyKey: crypto.randomUUID(),
    });
    if (call.options.detach === true) {
      call.out.result(job, () => job.job_id);
      call.out.note(`Watch it with: athanor job watch ${job.job_id}`);
      return EXIT.ok;
    }
    if (call.options.watch === true) {
      const { watch } = await import("../watch.ts");
      return watch(call.out, api, job.job_id, {});
    }
    return printResult(call, api, job);
  },
};

function spawnOptions(call: CommandCall): { options?: SpawnOptionsJson } {
  const priority = numberOption(call, "priority", "--priority", {
    min: LIMITS.minPriority,
    max: LIMITS.maxPriority,
  });
  const delayS = numberOption(call, "delay", "--delay", { min: 0, max: LIMITS.maxDelayS, whole: false });
  const key = textOption(call, "key");
  const options: SpawnOptionsJson = {
    ...(priority === undefined ? {} : { priority }),
    ...(delayS === undefined ? {} : { delay_s: delayS }),
    ...(key === undefined ? {} : { concurrency_key: key }),
  };
  return Object.keys(options).length === 0 ? {} : { options };
}

/** The result alone goes to stdout; what the function wrote, and its progress, to stderr. */
async function printResult(call: CommandCall, api: Api, queued: JobJson): Promise<number> {
  const { accompany } = await import("../accompany.ts");
  const { JobFailedError } = await import("../../sdk/handle.ts");
  const done = await accompany(call.out, api, queued.job_id);
  if (!done) {
    call.out.note(`Detached; ${queued.job_id} goes on. Resume with: athanor job watch ${queued.job_id}`);
    return EXIT.interrupted;
  }
  const job = await api.getJob(queued.job_id);
  if (!isFinal(job.status)) throw new Error(`${job.job_id} is ${job.status} after its last event`);
  if (job.status !== "succeeded") throw new JobFailedError(job);
  call.out.line(JSON.stringify(call.out.json ? job : job.result, null, 2));
  return EXIT.ok;
}

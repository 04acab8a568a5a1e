import { fetchHandlerOf } from "./fetch-handler.ts";
import type { RunningService, ServiceStart } from "./service.ts";
import { inTime } from "./startup.ts";

/** Makes the handler of a `fetch` service. It binds nothing: its requests come in frames. */
export async function startFetch({ fn }: ServiceStart): Promise<RunningService> {
  const { name, service } = fn.spec;
  // Node loads these two, and all of its fetch, when they are first named: better now than at the first request.
  for (const name of ["Request", "Response"]) Reflect.get(globalThis, name);
  const made = await inTime(
    service.startupTimeoutS,
    async () => fn.call(),
    () => `the factory of ${name} has not returned`,
  );
  return { address: null, handler: fetchHandlerOf(made, name), connect: null, close: async () => {} };
}

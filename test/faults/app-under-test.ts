import { join } from "node:path";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { request } from "./ask.ts";
import type { System } from "./system.ts";
import { PROMISES } from "./work.ts";

/** The functions of apps/faults.ts, with the limits that the checker holds them to. */
export class AppUnderTest {
  readonly #upload: DeploymentUpload;

  private constructor(upload: DeploymentUpload) {
    this.#upload = upload;
  }

  /** Its functions are told where to write their records. */
  static async build(recordsDir: string): Promise<AppUnderTest> {
    const upload = await build({ entry: join(import.meta.dirname, "apps/faults.ts") });
    for (const fn of upload.spec.functions) {
      const { concurrency = null, perKey = 1, rate } = PROMISES[fn.name] ?? {};
      const perS = (rate?.perMs ?? 0) / 1000;
      fn.limits = {
        concurrency,
        keyConcurrency: perKey,
        rate: rate === undefined ? null : { limit: rate.limit, perS },
      };
      fn.placement.env = { ...fn.placement.env, FAULT_RECORDS: recordsDir };
    }
    return new AppUnderTest(upload);
  }

  /** Each version is a deployment of its own. Throws where it is refused. */
  async deploy(system: System, version: number): Promise<void> {
    const spec = structuredClone(this.#upload.spec);
    for (const fn of spec.functions) fn.placement.env = { ...fn.placement.env, FAULT_VERSION: `${version}` };
    const upload = { ...this.#upload, spec };
    const body: DeploymentUpload = { ...upload, digest: digestUpload(upload) };
    const answer = await request(await system.endpoint(0), "POST", "/v1/deployments", { body, timeoutMs: 60_000 });
    if (answer.status !== 201) throw new Error(`refused with ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Until every server knows of it. */
  async known(system: System): Promise<void> {
    for (const { server } of system.members) {
      while (server !== null && (await request(server, "GET", "/v1/apps/faults")).status !== 200)
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

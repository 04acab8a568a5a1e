/** Deploys under constant load: no request is dropped, none is answered by older code than the one before, and nothing is done twice. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { ServerProcess } from "../harness/server.ts";
import type { LoadResult } from "./rolling-load.ts";

const DEPLOYS = 50;
/** Between two deploys, so that each meets calls of every kind. */
const ANSWERS_BETWEEN = 12;

class Load {
  readonly result: Promise<LoadResult>;
  readonly #child: ChildProcess;
  #answered = 0;
  #onAnswer = (): void => {};

  constructor(args: string[]) {
    this.#child = fork(join(import.meta.dirname, "rolling-load.ts"), args);
    const { promise, resolve, reject } = Promise.withResolvers<LoadResult>();
    this.result = promise;
    promise.catch(() => {});
    this.#child.on("message", (message: { answered: string } | { result: LoadResult }) => {
      if ("result" in message) return resolve(message.result);
      this.#answered++;
      this.#onAnswer();
    });
    this.#child.once("exit", (code) => reject(new Error(`the load ended with ${code}`)));
  }

  /** So many more calls have been answered. */
  async answers(count: number): Promise<void> {
    const enough = this.#answered + count;
    while (this.#answered < enough) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onAnswer = resolve;
      await Promise.race([promise, this.result]);
    }
  }

  async stop(): Promise<LoadResult> {
    const exited = once(this.#child, "exit");
    this.#child.send("stop");
    const result = await this.result;
    await exited;
    return result;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

function versioned(upload: DeploymentUpload, version: number): DeploymentUpload {
  const made = { ...upload, bundle: upload.bundle.replaceAll("version 0", `version ${version}`) };
  return { ...made, digest: digestUpload(made) };
}

test(`${DEPLOYS} deploys under constant load drop no call and double none`, async () => {
  const dir = await mkdtemp(join(tmpdir(), "athanor-rolling-"));
  try {
    const upload = await build({ entry: join(import.meta.dirname, "apps/rolling.ts") });
    await using server = await ServerProcess.start({ dataDir: join(dir, "data"), tempDir: dir });
    await server.api.deploy(versioned(upload, 1));
    const file = join(dir, "effects");
    using load = new Load([server.url, server.token, file]);
    for (let version = 2; version <= DEPLOYS + 1; version++) {
      await load.answers(ANSWERS_BETWEEN);
      await server.api.deploy(versioned(upload, version));
      const answer = await (await fetch(new URL("/rolling/get?n=0", server.url))).json();
      assert.deepEqual(answer, { n: 0, version });
    }
    const { failures, answered, effects } = await load.stop();
    assert.deepEqual(failures, []);
    assert.deepEqual(Object.keys(answered).toSorted(), [
      "effect",
      "get",
      "hop",
      "leaving",
      "rare",
      "slow",
      "socket",
      "stream",
      "work",
    ]);
    const done = (await readFile(file, "utf8")).trim().split("\n");
    assert.deepEqual(done.toSorted(), effects.toSorted());
    const jobs = await server.api.jobs();
    assert.deepEqual([...new Set(jobs.map(({ status, attempt }) => `${status} ${attempt}`))], ["succeeded 1"]);
    // What was superseded leaves nothing behind.
    const live = `deployments:${DEPLOYS + 1}`;
    while ((await server.api.replicas()).some(({ deployment_id: id }) => id !== live));
    assert.equal(await server.stop(), 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

import type { DeploymentRecord } from "../store/store.ts";
import type { LoadedDeployment } from "./loaded.ts";

/** The files of a deployment that was asked for may be needed soon, though nothing in the store says so yet. */
const KEEP_MS = 10 * 60_000;

/** The deployments in memory, and whose files are kept beside those that the store says are needed. */
export class KeptDeployments {
  readonly #make: (record: DeploymentRecord) => LoadedDeployment;
  readonly #loaded = new Map<number, LoadedDeployment>();
  /** When each digest was last asked for. */
  readonly #asked = new Map<string, number>();
  /** By app, the digest of what was live before: a rollback goes to it, mostly. */
  readonly #before = new Map<string, string>();

  constructor(make: (record: DeploymentRecord) => LoadedDeployment) {
    this.#make = make;
  }

  get(deployment: number): LoadedDeployment | undefined {
    return this.#loaded.get(deployment);
  }

  load(record: DeploymentRecord): LoadedDeployment {
    let loaded = this.#loaded.get(record.deployment);
    if (!loaded) {
      loaded = this.#make(record);
      this.#loaded.set(record.deployment, loaded);
    }
    return loaded;
  }

  drop(deployment: number): void {
    this.#loaded.delete(deployment);
  }

  clear(): void {
    this.#loaded.clear();
  }

  /** Somebody is about to use its files. */
  ask({ digest }: { digest: string }): void {
    this.#asked.set(digest, Date.now());
  }

  switched(app: string, retired: LoadedDeployment | null, added: LoadedDeployment | null): void {
    if (retired && added) this.#before.set(app, retired.digest);
    else this.#before.delete(app);
    // A request that came before the switch may get to its replica a while after it.
    if (retired) this.ask(retired);
  }

  /** The digests whose files stay: of what the store needs, of what is in use, and of what may be asked for soon. The others are forgotten. */
  prune(needed: DeploymentRecord[], inUse: Iterable<number>): Set<string> {
    const kept = new Set([...needed.map((record) => record.digest), ...this.#before.values()]);
    // Requests are in no store, and their code may read its files at any time.
    for (const number of inUse) kept.add(this.#loaded.get(number)?.digest ?? "");
    for (const [digest, at] of this.#asked) {
      if (at > Date.now() - KEEP_MS) kept.add(digest);
      else this.#asked.delete(digest);
    }
    for (const [number, { digest }] of this.#loaded) if (!kept.has(digest)) this.#loaded.delete(number);
    return kept;
  }
}

import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { RunnableDeployment } from "./deployment.ts";
import type { Group } from "./group.ts";

interface Preparation {
  readonly groups: readonly Group[];
  readonly outcome: PromiseWithResolvers<void>;
}

/**
 * Deployments that get their replicas before they are live, so that the switch to them is one between ready replicas.
 *
 *   (absent) --begin()-->                                        pending   each group keeps at least its `prepared` replicas
 *   pending  --ready(): all of these are-->                      ready     the promise resolves; they are kept
 *   pending  --failed(): a start of one of the groups failed-->  failed    the promise rejects; what there is, is kept
 *   any      --end(): it is live, or given up-->                 (absent)  a pending one rejects; `prepared` is 0 again
 */
export class Preparations {
  readonly #byDeployment = new Map<number, Preparation>();

  /** Asked again for the same deployment, it gives the same promise. */
  begin(deployment: RunnableDeployment, groups: readonly Group[], replicasOf: (group: Group) => number): Promise<void> {
    const known = this.#byDeployment.get(deployment.number);
    if (known !== undefined) return known.outcome.promise;
    for (const group of groups) group.prepared = replicasOf(group);
    const outcome = Promise.withResolvers<void>();
    outcome.promise.catch(() => {});
    this.#byDeployment.set(deployment.number, { groups, outcome });
    return outcome.promise;
  }

  /** A replica of the group has become ready; or, of a deployment that needs none, there is nothing to wait for. */
  ready({ deployment }: Pick<Group, "deployment">): void {
    const known = this.#byDeployment.get(deployment.number);
    if (known?.groups.every((group) => group.count("ready") >= group.prepared)) known.outcome.resolve();
  }

  failed({ deployment, prepared, failure }: Group): void {
    if (prepared > 0 && failure !== null) this.#byDeployment.get(deployment.number)?.outcome.reject(failure.error);
  }

  end(deployment: number): void {
    const known = this.#byDeployment.get(deployment);
    if (known === undefined) return;
    this.#byDeployment.delete(deployment);
    for (const group of known.groups) group.prepared = 0;
    const id = formatId("deployments", deployment);
    known.outcome.reject(new AthanorError("cancelled", `${id} was given up before its replicas were ready.`));
  }

  endAll(error: () => AthanorError): void {
    for (const [deployment, { outcome }] of [...this.#byDeployment]) {
      outcome.reject(error());
      this.end(deployment);
    }
  }
}

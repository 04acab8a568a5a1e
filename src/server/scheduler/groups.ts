import type { FunctionSpec } from "../../protocol/spec.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { Group, type GroupParts } from "./group.ts";
import { noSuchFunction } from "./refusals.ts";

/**
 * The groups that are known, by function and by deployment.
 *
 *   unknown --of(), find()-->                       known       all groups of its deployment with it
 *   known   --forgetUnused(), all of it unused-->   unknown     `forgotten` for whoever still holds it; asked for again, it is a new one
 */
export class Groups {
  readonly #parts: GroupParts;
  readonly #byFunction = new Map<FunctionSpec, Group>();
  readonly #byDeployment = new Map<number, Group[]>();

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** Throws function_not_found. */
  find(deployment: RunnableDeployment, fn: FunctionSpec): Group {
    const known = this.#byFunction.get(fn);
    if (known !== undefined) return known;
    // A deployment that was loaded anew has other objects for the same functions.
    const group = this.of(deployment).find(({ functionNames }) => functionNames.includes(fn.name));
    if (group === undefined) throw noSuchFunction(deployment, fn.name);
    return group;
  }

  of(deployment: RunnableDeployment): readonly Group[] {
    const known = this.#byDeployment.get(deployment.number);
    if (known !== undefined) return known;
    const groups = deployment.groups.map((group) => new Group(deployment, group, this.#parts));
    this.#byDeployment.set(deployment.number, groups);
    for (const group of groups) for (const fn of group.group.functions) this.#byFunction.set(fn, group);
    return groups;
  }

  /** Only what is known already. */
  peek(deployment: number): readonly Group[] {
    return this.#byDeployment.get(deployment) ?? [];
  }

  /** Of the app's live deployment. */
  *liveOf(app: string): Iterable<Group> {
    for (const group of this.all()) if (group.live && group.deployment.app === app) yield group;
  }

  *all(): Iterable<Group> {
    for (const groups of this.#byDeployment.values()) yield* groups;
  }

  /** Deployments that are not live and need nothing are let go as a whole, so that groups of one never mix old and new. */
  forgetUnused(deployment: number): void {
    const groups = this.#byDeployment.get(deployment);
    if (groups === undefined || !groups.every((group) => group.unused)) return;
    this.#byDeployment.delete(deployment);
    for (const group of groups) {
      group.clearTimers();
      group.forgotten = true;
      for (const fn of group.group.functions) this.#byFunction.delete(fn);
    }
  }
}

import type { DeploymentRecord } from "../store/store.ts";
import type { LoadedDeployment } from "./loaded.ts";

/** Deployments of this server: what the gateway, the API, the scheduler and the jobs ask for. */
export interface Deployments {
  /** Loads what is live or needed by jobs. Repeatable. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Checks an upload, writes its files, installs its dependencies, tries it, and makes it live. */
  create(upload: unknown): Promise<{ deployment: DeploymentRecord; unchanged: boolean }>;
  /** In memory, or loaded from disk. Throws deployment_not_found. */
  get(deployment: number): Promise<LoadedDeployment>;
  /** In memory only; what the hot path asks. */
  live(app: string): LoadedDeployment | undefined;
  /** The live deployment of every app. */
  listLive(): LoadedDeployment[];
  /** Takes an app out. False where there is none. */
  remove(app: string): Promise<boolean>;
}

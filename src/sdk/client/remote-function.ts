import type { Handle, JobHandle, JobWatchEvent, WatchOptions } from "../handle.ts";
import type { Api } from "./api.ts";

export class RemoteFunction implements Handle<unknown[], unknown, unknown> {
  readonly serviceUrl = null;
  constructor(_api: Api, _app: string, _name: string) {}
  remote(..._args: unknown[]): Promise<unknown> {
    throw new Error("not yet");
  }
  spawn(..._args: unknown[]): Promise<JobHandle> {
    throw new Error("not yet");
  }
  remoteEvents(_args: unknown[], _options?: WatchOptions): AsyncGenerator<JobWatchEvent, void, undefined> {
    throw new Error("not yet");
  }
  getWebUrl(_options?: object): Promise<string> {
    throw new Error("not yet");
  }
}

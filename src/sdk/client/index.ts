/** What another program imports from "athanor/client". */
export { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
export type { JobStatus } from "../../protocol/job.ts";
export type { Json } from "../../protocol/json.ts";
export type { MediaJson } from "../../protocol/media.ts";
export type { ServerEventType, ServerSnapshot, ServerWatchEvent } from "../../protocol/server-event.ts";
export type { AppJson, CancelManyResult, DeploymentJson, JobJson, Problem, WebhookBody } from "../../protocol/wire.ts";
export {
  type CallOptions,
  type Handle,
  JobFailedError,
  type JobHandle,
  type JobWatchEvent,
  type MapOptions,
  type UntypedHandle,
  type WatchOptions,
} from "../handle.ts";
export { ImageFile, type MediaInit, type MediaSource } from "../media.ts";
export { Api } from "./api.ts";
export { type AppClient, type CancelFilter, Client, type ClientOptions } from "./client.ts";
export type { ServerEventOptions } from "./server-events.ts";
export { type ReceivedWebhook, verifyWebhook } from "./webhook.ts";

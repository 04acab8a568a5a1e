/** What an app's code imports from "athanor". */
export { AthanorError, type ErrorCode } from "./protocol/errors.ts";
export type { JobStatus } from "./protocol/job.ts";
export type { Json } from "./protocol/json.ts";
export type { MediaJson } from "./protocol/media.ts";
export type { JobJson, Problem, WebhookBody } from "./protocol/wire.ts";
export { App } from "./sdk/app.ts";
export { Client } from "./sdk/client/client.ts";
export { type ReceivedWebhook, verifyWebhook } from "./sdk/client/webhook.ts";
export { type BatchedJob, JobContext, JobProgress } from "./sdk/context.ts";
export { NonRetryableError } from "./sdk/errors.ts";
export {
  type CallOptions,
  type Handle,
  JobFailedError,
  type JobHandle,
  type JobWatchEvent,
  type MapOptions,
  type UntypedHandle,
  type WatchOptions,
} from "./sdk/handle.ts";
export type { Wire } from "./sdk/handler.ts";
export { ImageFile, type MediaInit, type MediaSource } from "./sdk/media.ts";
export type {
  AppOptions,
  BatchedOptions,
  BatchOptions,
  CorsOptions,
  CronOptions,
  EndpointOptions,
  EventsOptions,
  EveryOptions,
  FunctionOptions,
  QueueOptions,
  RateLimitOptions,
  RetryOptions,
} from "./sdk/options.ts";
export type { ServedApp, ServeOptions } from "./sdk/serve.ts";
export type { FetchContext, FetchFactory, FetchHandler, NodeFactory, Service, WebServerStart } from "./sdk/service.ts";
export type {
  AsgiOptions,
  CommandOptions,
  NodeOptions,
  PythonOptions,
  ServiceOptions,
  WsgiOptions,
} from "./sdk/service-options.ts";
export { type UpgradeOptions, upgradeWebSocket } from "./sdk/upgrade.ts";

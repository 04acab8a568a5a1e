import type { AthanorError } from "../protocol/errors.ts";
import type { OpenHttp } from "../protocol/replica.ts";

/** A request's head, whichever way it came. */
export type HttpRequestHead = OpenHttp & {
  /** Where it is found sooner than by a search of `headers`; a lower-case name. */
  readonly header?: (name: string) => string | null;
};

/** What answering a request needs to know of the call that brought it. */
export interface HttpCaller {
  /** The body as it comes. */
  readonly input: AsyncIterable<Uint8Array>;
  /** In place of it, where all of it is there already. */
  readonly whole?: Uint8Array | null;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Why, else null. */
  readonly cancelled: AthanorError | null;
  /** Called once it is cancelled; at once, where it is. */
  onCancel(listener: (reason: AthanorError) => void): void;
}

/** Where an answer goes. */
export interface HttpAnswer {
  /** Once, before the body. */
  head(status: number, headers: [string, string][]): void;
  /** Resolves once there is room for more; false where nobody reads any more. */
  body(bytes: Uint8Array): Promise<boolean>;
  /** In place of the answer, or in the middle of it, which is then broken off. */
  fail(error: AthanorError): void;
}

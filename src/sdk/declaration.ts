import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { JobContext } from "./context.ts";
import type { Handle } from "./handle.ts";
import type { BatchArgs, BatchResultOf, ChunkOf, ResultOf, Wire, WireArgs } from "./handler.ts";
import type { SchemaOptions } from "./options.ts";

/** What a declaration takes, by its options and handler, and the handle that it gives. */

/** A decorator of a method. */
export type MethodDecorator = (
  // biome-ignore lint/suspicious/noExplicitAny: any method may be decorated
  method: (this: any, ...args: any[]) => unknown,
  context: ClassMethodDecoratorContext,
) => void;

type InputOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferInput<I> : unknown;

type OutputOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<I> : unknown;

/** A handler with an `input` schema; with an `output` schema it may return whatever that takes. */
export type SchemaHandler<I, O, R> = (
  input: OutputOf<I>,
  context: JobContext,
) => O extends StandardSchemaV1 ? InputOf<O> | Promise<InputOf<O>> : R;

export type SchemaHandle<I, O, R> = Handle<
  [input: InputOf<I>],
  O extends StandardSchemaV1 ? Wire<OutputOf<O>> : ResultOf<R>,
  ChunkOf<R>
>;

/**
 * Parameters of `never` leave the type of a parameter with a default to the default: under `unknown[]` the `50` of `steps = 50` would
 * be of type unknown.
 */
export type AnyHandler = (...args: never[]) => unknown;

/** A handler with `batch`; a result that is an Error fails its own job alone. */
export type BatchHandler = (...args: never[]) => readonly unknown[] | Promise<readonly unknown[]>;

export type BatchSchemaHandler<I, O, R extends readonly unknown[]> = (
  inputs: OutputOf<I>[],
  context: JobContext,
) => O extends StandardSchemaV1 ? Eventually<readonly (InputOf<O> | Error)[]> : Eventually<R>;

type Eventually<T> = T | Promise<T>;

export type BatchSchemaHandle<I, O, R> = Handle<
  [input: InputOf<I>],
  O extends StandardSchemaV1 ? Wire<OutputOf<O>> : BatchResultOf<R>
>;

export type OptionalSchema = StandardSchemaV1 | undefined;

export type RequiredInput<I extends StandardSchemaV1, O extends OptionalSchema> = SchemaOptions<I, O> & { input: I };

export type HandlerHandle<F extends AnyHandler> = Handle<
  WireArgs<Parameters<F>>,
  ResultOf<ReturnType<F>>,
  ChunkOf<ReturnType<F>>
>;

export type BatchHandle<F extends BatchHandler> = Handle<
  BatchArgs<WireArgs<Parameters<F>>>,
  BatchResultOf<ReturnType<F>>
>;

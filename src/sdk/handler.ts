import type { JobContext, JobProgress } from "./context.ts";

type WebRequest = typeof globalThis extends { Request: { prototype: infer T } } ? T : never;

type IsAny<T> = 0 extends 1 & T ? true : false;
type IsNever<T> = [T] extends [never] ? true : false;

/** What the runtime injects; such a parameter is no argument of a remote call. */
type IsInjected<T> =
  IsAny<T> extends true
    ? false
    : IsNever<Exclude<T, undefined>> extends true
      ? false
      : [Exclude<T, undefined>] extends [JobProgress | JobContext | WebRequest]
        ? true
        : false;

/** The parameters that callers pass: all but the injected ones. Names and `?` of parameters are kept from the last injected one on. */
export type WireArgs<A extends readonly unknown[]> = A extends readonly []
  ? []
  : HasInjected<A> extends false
    ? A
    : A extends readonly [infer H, ...infer T]
      ? IsInjected<H> extends true
        ? WireArgs<T>
        : [H, ...WireArgs<T>]
      : A extends readonly [(infer H)?, ...infer T]
        ? IsInjected<H> extends true
          ? WireArgs<T>
          : [H?, ...WireArgs<T>]
        : A;

type HasInjected<A extends readonly unknown[]> = A extends readonly []
  ? false
  : number extends A["length"]
    ? A extends readonly [infer H, ...infer T]
      ? IsInjected<H> extends true
        ? true
        : HasInjected<T>
      : false
    : A extends readonly [(infer H)?, ...infer T]
      ? IsInjected<H> extends true
        ? true
        : HasInjected<T>
      : false;

/** What can be iterated and yet is one value. */
type Whole = string | readonly unknown[] | ArrayBufferView | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>;

type Streamed<R> = R extends Whole ? never : R extends AsyncIterable<infer C> | Iterable<infer C> ? C : never;

/** One yield of a generator; never for a function that returns once. */
export type ChunkOf<R> = IsAny<R> extends true ? never : Streamed<Awaited<R>>;

/** What `remote` resolves to: the function's own result. A generator's is null: what it made are its chunks. */
export type ResultOf<R> = IsAny<R> extends true ? R : IsNever<ChunkOf<R>> extends false ? null : JsonResult<Awaited<R>>;

/** JSON has no undefined: in its place comes null. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is what is asked about
type JsonResult<T> = [T] extends [void] ? null : undefined extends T ? Exclude<T, undefined> | null : T;

/** The arguments of one job of a function whose handler takes arrays. */
export type BatchArgs<A extends readonly unknown[]> = {
  [K in keyof A]: A[K] extends readonly (infer E)[] ? E : never;
};

/** The result of one job of a function whose handler returns an array; an Error in it fails its job. */
export type BatchResultOf<R> =
  IsAny<R> extends true ? R : Awaited<R> extends readonly (infer E)[] ? JsonResult<Exclude<E, Error>> : never;

/** What JSON makes of a value that its schema does not describe: the form in which the result of an own `output` schema arrives. */
export type Wire<T> =
  IsAny<T> extends true
    ? T
    : T extends string | number | boolean | null
      ? T
      : T extends Date | Uint8Array | bigint
        ? string
        : T extends { toJSON(): infer J }
          ? Wire<J>
          : T extends undefined
            ? null
            : T extends readonly unknown[]
              ? { [K in keyof T]: Wire<T[K]> }
              : T extends object
                ? { [K in keyof T]: undefined extends T[K] ? Wire<Exclude<T[K], undefined>> | undefined : Wire<T[K]> }
                : never;

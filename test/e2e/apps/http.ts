/** Endpoints that do each thing that an HTTP exchange can do, for http*.test.ts. */
import { App, type ImageFile, type JobContext, type JobProgress } from "athanor";

const app = new App("web");

/** A replica that only `hang` and `aborted` share. */
const apart = { memoryMb: 700 };

/** Calls of `hang` whose client has left. */
let aborted = 0;

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Says hello. */
export const hello = app.endpoint("/hello", { methods: ["GET"], summary: "Hello" }, (name = "you", times = 1) => ({
  message: `hello ${name}`.repeat(times),
}));

export const echo = app.endpoint(
  "/echo",
  { methods: ["POST", "PUT"], maxUploadFileSizeMb: 1 },
  (text: string, count?: number, tags?: string[]) => ({ text, count: count ?? null, tags: tags ?? [] }),
);

export const sizeOf = app.endpoint("/size", { maxUploadFileSizeMb: 1 }, async (page: ImageFile, note = "") => ({
  type: page.contentType,
  size: (await page.bytes()).length,
  note,
}));

export const same = app.endpoint("/same", (page: ImageFile) => page);

export const fail = app.endpoint("/fail", (secret: string): string => {
  throw new Error(`it broke on ${secret}`);
});

export const wrong = app.endpoint("/wrong", { methods: ["GET"] }, (): number => "text" as unknown as number);

export const cycle = app.endpoint("/cycle", { methods: ["GET"] }, (): unknown => {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
});

export const hang = app.endpoint("/hang", { methods: ["GET"], ...apart }, async (context: JobContext) => {
  await untilAborted(context.signal);
  aborted++;
  return "late";
});

export const abortedCount = app.endpoint("/aborted", { methods: ["GET"], ...apart }, () => aborted);

export const slow = app.endpoint(
  "/slow",
  { methods: ["GET"], timeoutS: 0.3, memoryMb: 900 },
  async (context: JobContext) => {
    await untilAborted(context.signal);
    return "late";
  },
);

export const count = app.endpoint("/count", { methods: ["GET"] }, async function* (to: number) {
  for (let i = 0; i < to; i++) yield { i };
});

export const raw = app.endpoint("/raw", { methods: ["GET", "POST"] }, async (request: Request) => {
  const body = await request.text();
  return new Response(JSON.stringify({ url: request.url, headers: Object.fromEntries(request.headers), body }), {
    status: 201,
    headers: [
      ["content-type", "application/json"],
      ["x-own", "yes"],
      ["connection", "x-own-hop"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ],
  });
});

export const big = app.endpoint("/big", { methods: ["GET"] }, (megabytes: number) => {
  let left = megabytes;
  const chunk = new Uint8Array(1024 * 1024).fill(97);
  return new Response(
    new ReadableStream({
      pull: (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.close()),
    }),
  );
});

export const locked = app.endpoint("/locked", { methods: ["GET"], access: "token" }, (request: Request) =>
  Response.json({ authorization: request.headers.get("authorization") }),
);

export const shared = app.endpoint(
  "/shared",
  { methods: ["GET", "POST"], cors: { origins: ["https://page.example"] } },
  () => "shared",
);

export const work = app.endpoint(
  "/work",
  { queue: { size: 3, ttlS: 60 } },
  async (progress: JobProgress, context: JobContext, text: string, hold = false) => {
    progress.setStatus(0.5, "half");
    if (hold) await untilAborted(context.signal);
    if (text === "fail") throw new TypeError("work failed");
    return text.toUpperCase();
  },
);

export const picture = app.endpoint("/picture", { queue: { size: 3 } }, (page: ImageFile) => page);

export const infer = app.function(async (text: string, upper = true) => (upper ? text.toUpperCase() : text));

let sendMore = () => {};

/** Whose Content-Length lies; a stream's does once `kind=more` is asked for. */
export const lying = app.endpoint("/lying", { methods: ["GET"] }, async (request: Request) => {
  const kind = new URL(request.url).searchParams.get("kind");
  if (kind === "more") {
    sendMore();
    return new Response("sent");
  }
  const text = kind === "short" ? "a" : "helloHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
  const parts = async function* () {
    const asked = new Promise<void>((resolve) => {
      sendMore = resolve;
    });
    yield new TextEncoder().encode("hello");
    await asked;
    yield new TextEncoder().encode("more");
  };
  const body = kind === "stream" ? ReadableStream.from(parts()) : text;
  return new Response(body, { headers: { "content-length": "5" } });
});

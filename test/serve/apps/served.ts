/** What the tests of in-process serving and calling use; they import it as it is written. */
import { App, type ImageFile, type JobContext, type JobProgress, upgradeWebSocket } from "athanor";

export const app = new App("served");

/** What the app's own module holds, which a test that imports it sees too. */
export const state = { greeted: 0, summed: 0 };

/** Greets. @param name Whom. @minLength 1 */
export const hello = app.endpoint("/hello", { methods: ["GET"], cors: true }, (name: string, times = 1) => {
  state.greeted++;
  return { message: `Hello, ${name}!`.repeat(times) };
});

export const sum = app.endpoint("/sum", { methods: ["POST", "PUT"] }, (numbers: number[]) => {
  state.summed++;
  return { sum: numbers.reduce((total, n) => total + n, 0) };
});

export const secret = app.endpoint("/secret", { methods: ["GET"], access: "token" }, () => "open");
export const fails = app.endpoint("/fails", () => {
  throw new RangeError("out of range");
});
export const wrong = app.endpoint("/wrong", (): number => JSON.parse('"no number"'));
export const stream = app.endpoint("/stream", { methods: ["GET"] }, async function* (to: number) {
  for (let n = 1; n <= to; n++) yield n;
});
export const raw = app.endpoint("/raw", async (request: Request) => {
  return new Response(`${request.method} ${await request.text()}`, { status: 201, headers: { "x-own": "1" } });
});
/** Resolves once nobody reads the endless answer any more. */
export const left = Promise.withResolvers<void>();
export const endless = app.endpoint("/endless", { methods: ["GET"] }, (request: Request) => {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(request.method)),
    cancel: () => left.resolve(),
  });
  return new Response(body);
});
export const picture = app.endpoint("/picture", (file: ImageFile, note: string) => ({ kind: file.contentType, note }));
export const slow = app.endpoint("/slow", { timeoutS: 1 }, (context: JobContext) => {
  return new Promise<string>((_, reject) => {
    context.signal.addEventListener("abort", () => reject(context.signal.reason));
  });
});
export const queued = app.endpoint("/queued", { queue: { size: 5 } }, (progress: JobProgress, n: number) => {
  progress.setStatus(1, "done");
  return n + 1;
});
export const later = app.function((at: Date, byS = 1) => new Date(at.getTime() + byS * 1000));
export const count = app.function(function* (to: number) {
  for (let n = 1; n <= to; n++) yield n;
});
export const batched = app.function({ batch: { maxSize: 4, waitMs: 1 } }, (words: string[]) =>
  words.map((word) => word.length),
);
/** What the WebSockets of `api` were closed with. */
export const closed: [code: number, reason: string][] = [];
export const api = app.fetch({ path: "/api" }, () => (request: Request) => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname !== "/echo") return new Response(`fetched ${pathname}`, { status: 203 });
  const protocol = searchParams.get("protocol") ?? "";
  const { socket, response } = upgradeWebSocket(request, { protocol, perMessageDeflate: true, maxMessageBytes: 1e6 });
  socket.addEventListener("open", () => socket.send(request.headers.get("x-forwarded-prefix") ?? ""));
  socket.addEventListener("message", ({ data }) => socket.send(data));
  socket.addEventListener("close", ({ code, reason }) => closed.push([code, reason]));
  if (searchParams.has("refuse")) return new Response("not today", { status: 403 });
  response.headers.set("x-added", "1");
  return response;
});

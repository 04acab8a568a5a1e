/** For test/e2e/scaling.test.ts. Each memoryMb of its own makes a group of its own. */
import { App, type JobContext, upgradeWebSocket } from "athanor";

export const app = new App("scaling");

const get = { methods: ["GET"] } as const;

class Broken {
  @app.enter() load() {
    console.error("the secret is 42");
    throw new Error("the model is missing");
  }

  @app.endpoint("/broken", { ...get, memoryMb: 601 }) broken() {
    return "never";
  }
}

export const die = app.endpoint("/die", { ...get, memoryMb: 602 }, () => {
  console.error("last words");
  process.exit(3);
});

/** Until its caller leaves. */
export const hold = app.endpoint("/hold", { ...get, memoryMb: 603, concurrency: 1 }, async (context: JobContext) => {
  await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
});

/** An answer without an end. */
export const stream = app.endpoint(
  "/stream",
  { ...get, memoryMb: 604, concurrency: 1, maxReplicas: 2, keepWarmS: 0 },
  (): Response =>
    new Response(new ReadableStream({ start: (body) => body.enqueue(new TextEncoder().encode("first")) })),
);

/** Says again what it is told. */
export const echo = app.fetch({ concurrency: 1, maxReplicas: 2, keepWarmS: 0 }, () => (request: Request) => {
  const { socket, response } = upgradeWebSocket(request);
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
});

export { Broken };

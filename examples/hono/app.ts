// A Hono app as a service: all of its routes below one path, beside functions of the same app.
//
//   athanor deploy app.ts
//   curl http://127.0.0.1:7700/notes/api/notes -H 'content-type: application/json' -d '{"text":"Buy coal"}'
//   curl http://127.0.0.1:7700/notes/api/notes
import { App } from "athanor";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";

const app = new App("notes");

interface Note {
  id: number;
  text: string;
}

/** A job that the routes below hand work to: it is durable, and tried again if it throws. */
export const shorten = app.function({ retries: 2 }, async (text: string) => `${text.slice(0, 20)}…`);

/** Notes are kept in memory, so all requests must come to one replica; a real app has a database. */
export const api = app.fetch({ maxReplicas: 1, cors: true }, () => {
  const notes: Note[] = [];
  const routes = new Hono();

  routes.get("/notes", (c) => c.json(notes));

  routes.post("/notes", async (c) => {
    const { text } = await c.req.json<{ text: string }>();
    const note = { id: notes.length + 1, text };
    notes.push(note);
    return c.json(note, 201, { location: `notes/${note.id}` });
  });

  routes.post("/notes/:id/short", async (c) => {
    const note = notes.find(({ id }) => id === Number(c.req.param("id")));
    return note === undefined ? c.notFound() : c.text(await shorten.remote(note.text));
  });

  /** Server-sent events pass as they are written. */
  routes.get("/notes/words", (c) =>
    streamSSE(c, async (stream) => {
      for (const word of notes.flatMap(({ text }) => text.split(" "))) await stream.writeSSE({ data: word });
    }),
  );

  return routes;
});

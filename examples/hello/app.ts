// The smallest app: one endpoint that answers at once, and one function that runs as a job.
//
//   athanor deploy app.ts
//   curl http://127.0.0.1:7700/hello/greet -H 'content-type: application/json' -d '{"name":"Ada"}'
//   athanor run shout --app-name hello --payload '{"args":["ahoy"]}' --watch
import { App } from "athanor";

const app = new App("hello");

/**
 * Greets somebody. The parameters are the body of the request, and their types are its schema: an empty name, or a number
 * in its place, is answered with 422 before this code runs.
 *
 * @param name Whom to greet. @minLength 1
 * @param times How often. @minimum 1 @maximum 10
 */
export const greet = app.endpoint("/greet", async (name: string, times = 1) => ({
  message: Array(times).fill(`Hello, ${name}!`).join(" "),
}));

/** A function has no URL of its own. It is called as a job: durable, watched, and tried again if it throws. */
export const shout = app.function({ retries: 2, timeoutS: 60 }, async (text: string) => `${text.toUpperCase()}!`);

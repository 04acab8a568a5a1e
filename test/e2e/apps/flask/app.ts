import { App } from "athanor";

const app = new App("flask");

export const site = app.wsgi("main:app", { concurrency: 8, env: { GREETING: "hello" } });

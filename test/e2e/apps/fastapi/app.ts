import { App } from "athanor";

const app = new App("py");

export const api = app.asgi("main:app", { drainTimeoutS: 5 });

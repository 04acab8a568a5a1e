import { App } from "athanor";

const app = new App("fastapi");

/** The app in main.py, under uvicorn: http://127.0.0.1:7700/fastapi/docs is FastAPI's own page. */
export const notes = app.asgi("main:app", { path: "/", healthPath: "/health", keepWarmS: 60 });

import { App } from "athanor";

const app = new App("chaos");

export const double = app.function({ concurrency: 4 }, async (n: number) => n * 2);

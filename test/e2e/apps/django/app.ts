import { App } from "athanor";

const app = new App("dj");

export const site = app.wsgi("site_of_tests.wsgi:application", {
  dir: "backend",
  workers: 2,
  requirements: "requirements/live.txt",
});
export const live = app.asgi("site_of_tests.asgi:application", {
  dir: "backend",
  requirements: "requirements/live.txt",
});

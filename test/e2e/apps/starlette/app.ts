import { App } from "athanor";

const app = new App("star");

export const web = app.asgi({
  target: "pages.app:make()",
  packages: ["starlette>=1"],
  path: "/",
  healthPath: "/healthy",
});

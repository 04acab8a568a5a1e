// An Express app as a service, at the root of its app.
//
//   athanor deploy app.ts
//   open http://127.0.0.1:7700/guestbook/
import { App } from "athanor";
import express from "express";

const app = new App("guestbook");

/** An endpoint at a path of its own goes before the service that owns all others. */
export const health = app.endpoint("/health", { methods: ["GET"] }, () => ({ status: "ok" }));

export const site = app.node({ path: "/", maxReplicas: 1 }, () => {
  const entries: string[] = [];
  const routes = express();
  // The gateway says who the client is: with this, request.ip, request.protocol and request.hostname are the client's.
  routes.set("trust proxy", true);

  routes.get("/", (request, response) => {
    // Where this service sits, for links: empty where a host name of its own leads here.
    const base = request.get("x-forwarded-prefix") ?? "";
    const items = entries.map((entry) => `<li>${escapeHtml(entry)}</li>`).join("");
    response.send(`<!doctype html><title>Guest book</title><ul>${items}</ul>
      <form method="post" action="${base}/entries"><input name="text"><button type="submit">Sign</button></form>`);
  });

  routes.post("/entries", express.urlencoded(), (request, response) => {
    entries.push(`${request.body.text} (from ${request.ip})`);
    response.redirect(303, `${request.get("x-forwarded-prefix") ?? ""}/`);
  });

  return routes;
});

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

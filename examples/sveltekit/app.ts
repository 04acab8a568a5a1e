// What a framework builds for Node, as a service: here SvelteKit; those of Nuxt, Astro and others run in the same way.
//
//   npm ci && npm run build
//   athanor deploy app.ts
//   open http://127.0.0.1:7700/shop/
import { App } from "athanor";

const app = new App("shop");

export const site = app.webServer(3000, {
  path: "/",
  // It heeds PORT and HOST, so that any number of replicas run side by side.
  command: ["node", "build/index.js"],
  healthPath: "/health",
  startupTimeoutS: 30,
  maxReplicas: 2,
  // The gateway says who the client is, and by which URL it came; adapter-node is told where to read it.
  env: { PROTOCOL_HEADER: "x-forwarded-proto", HOST_HEADER: "x-forwarded-host", ADDRESS_HEADER: "x-forwarded-for" },
});

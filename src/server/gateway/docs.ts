import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import { sendText } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { openApiOf } from "../openapi/document.ts";

/** Of the viewer's package, the files that the page loads. */
const ASSETS: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

/** Nothing from elsewhere, no inline script. Swagger UI sets style attributes and shows its icons from data URLs. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** `/openapi.json`, `/docs`, and below that the viewer's files. */
export async function serveDocs(
  x: Exchange,
  p: { deployment: LoadedDeployment; path: string; prefix: string; origin: string },
): Promise<void> {
  const { deployment, path, prefix } = p;
  if (path === "/openapi.json") {
    const document = JSON.stringify(
      openApiOf(deployment.spec, { serverUrl: `${p.origin}${prefix}`, version: String(deployment.number) }),
    );
    sendText(x, 200, document, { "content-type": "application/json; charset=utf-8", "cache-control": "no-cache" });
    return;
  }
  if (path === "/docs" || path === "/docs/") {
    sendText(x, 200, page(deployment.app, prefix), {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": CSP,
      "cache-control": "no-cache",
    });
    return;
  }
  const name = path.slice("/docs/".length);
  if (name === "start.js") {
    sendText(x, 200, START_SCRIPT, { "content-type": "text/javascript; charset=utf-8", "cache-control": "no-cache" });
    return;
  }
  const contentType = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
  if (contentType === undefined)
    throw new AthanorError("not_found", `the docs have no file ${JSON.stringify(name.slice(0, 100))}`);
  await sendAsset(x, name, contentType);
}

async function sendAsset(x: Exchange, name: string, contentType: string): Promise<void> {
  const bytes = await readFile(join(viewerDir(), name));
  sendText(x, 200, bytes, { "content-type": contentType, "cache-control": "public, max-age=3600" });
}

let knownViewerDir: string | undefined;

/** `docs-viewer` beside the built server, or the package itself in a checkout. */
function viewerDir(): string {
  knownViewerDir ??= [
    join(import.meta.dirname, "docs-viewer"),
    join(import.meta.dirname, "..", "docs-viewer"),
    join(import.meta.dirname, "..", "..", "..", "node_modules", "swagger-ui-dist"),
  ].find((dir) => existsSync(join(dir, "swagger-ui.css")));
  if (knownViewerDir === undefined)
    throw new AthanorError("not_found", "the docs viewer's files are not part of this installation", {
      hint: "The OpenAPI document is at openapi.json beside this page.",
    });
  return knownViewerDir;
}

function page(app: string, prefix: string): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${app} · API</title>
  <link rel="icon" href="${prefix}/docs/favicon-32x32.png">
  <link rel="stylesheet" href="${prefix}/docs/swagger-ui.css">
</head>
<body>
  <div id="viewer" data-url="${prefix}/openapi.json"></div>
  <script src="${prefix}/docs/swagger-ui-bundle.js"></script>
  <script src="${prefix}/docs/start.js"></script>
</body>
</html>
`;
}

const START_SCRIPT = `const viewer = document.getElementById("viewer");
SwaggerUIBundle({ url: viewer.dataset.url, domNode: viewer, deepLinking: true, tryItOutEnabled: true, validatorUrl: null });
`;

import assert from "node:assert/strict";
import { it } from "node:test";
import { preferred } from "./accept.ts";

it("an answer's type is the one that the client wants most, JSON where it is all the same", () => {
  const cases: [string | null, string][] = [
    [null, "application/json"],
    ["", "application/json"],
    ["*/*", "application/json"],
    ["image/png", "image/png"],
    ["image/*", "image/png"],
    ["IMAGE/PNG", "image/png"],
    ["image/png;q=0.5, application/json", "application/json"],
    ["image/png, application/json;q=0.5", "image/png"],
    ["image/avif,image/webp,image/*,*/*;q=0.8", "image/png"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "application/json"],
    ["image/png;q=0, */*", "application/json"],
    ["image/jpeg", "application/json"],
    ["image/png;q=nonsense", "application/json"],
  ];
  for (const [accept, expected] of cases)
    assert.equal(preferred(accept, ["application/json", "image/png"]), expected, String(accept));
});

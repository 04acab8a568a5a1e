import assert from "node:assert/strict";
import { test } from "node:test";
import { compiledEagerly } from "./eager.ts";

const PATHS = new Set(["node_modules/a/index.js", "node_modules/b/index.js", "athanor-vendor:entry"]);
const HELPERS = "var __esm = (fn) => fn;\nvar __commonJS = (cb) => cb;";
const ENTRY = "// athanor-vendor:entry\nvar packages = [\n  () => require_a()\n];\nexport {\n  packages\n};\n";

/** Of sections as esbuild writes them. */
const chunk = (...sections: string[]): string => [HELPERS, ...sections, ENTRY].join("\n\n");

test("modules are functions in parentheses, line for line", () => {
  const a =
    '// node_modules/a/index.js\nvar require_a = __commonJS({\n  "node_modules/a/index.js"(exports, module) {\n    module.exports = 1;\n  }\n});';
  const b =
    '// node_modules/b/index.js\nvar b;\nvar init_b = __esm({\n  "node_modules/b/index.js"() {\n    b = 2;\n  }\n});';
  assert.equal(
    compiledEagerly(chunk(a, b), PATHS),
    chunk(
      a.replace('"(exports', '": (function(exports').replace("  }\n});", "  })\n});"),
      b.replace('"()', '": (function()').replace("  }\n});", "  })\n});"),
    ),
  );
});

test("a text that looks like the end of a module and the beginning of another is left alone", () => {
  const text = '\n  }\n});\n\n// next\nvar init_c = __esm({\n  "c"() {\n  }\n});\n\n// other\n';
  const a = `// node_modules/a/index.js\nvar require_a = __commonJS({\n  "node_modules/a/index.js"(exports, module) {\n    module.exports = \`${text}\`;\n  }\n});`;
  const eager = compiledEagerly(chunk(a), PATHS);
  assert.ok(eager.includes(text));
  assert.match(
    eager,
    /index\.js": \(function\(exports, module\) \{\n[\s\S]*`;\n {2}\}\)\n\}\);\n\n\/\/ athanor-vendor:entry/,
  );
});

test("what is no module is as it was", () => {
  assert.equal(compiledEagerly(chunk(), PATHS), chunk());
});

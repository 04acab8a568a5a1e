import { execFileSync } from "node:child_process";
import { findUv } from "../../src/server/deployments/python/uv.ts";

/** The program; null where there is none. */
export const uv: string | null = findUv(process.env);

/** Why tests that need uv and a Python it can find are skipped; false: they are not. */
export const noPython: string | false = reason();

function reason(): string | false {
  if (uv === null) return "uv is neither on PATH nor in ATHANOR_UV";
  try {
    execFileSync(uv, ["python", "find", "--system", "--no-project", ">=3.10"], {
      stdio: "ignore",
      env: { ...process.env, UV_PYTHON_DOWNLOADS: "never" },
    });
    return false;
  } catch {
    return "uv finds no Python 3.10 or newer";
  }
}

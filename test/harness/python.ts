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

/** What a server in a process of its own needs to be told, so that uv reaches the machine's index. */
export function uvSettings(): Record<string, string> {
  const names = /^(?:UV_|PIP_(?:EXTRA_)?INDEX_URL$|SSL_CERT_|(?:https?|all|no)_proxy$)/i;
  const passed = Object.entries(process.env).filter(([name]) => names.test(name)) as [string, string][];
  return { ...Object.fromEntries(passed), ...(uv === null ? {} : { ATHANOR_UV: uv }) };
}

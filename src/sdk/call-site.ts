/**
 * The file whose code called `callee`, as the engine names it: `file:///...` or an absolute path. Null where the engine does not say.
 */
// biome-ignore lint/complexity/noBannedTypes: Error.captureStackTrace takes any function
export function callerFile(callee: Function): string | null {
  if (typeof Error.captureStackTrace !== "function") return null;
  const { prepareStackTrace } = Error;
  const { stackTraceLimit } = Error;
  try {
    Error.prepareStackTrace = (_error, sites) => sites[0]?.getFileName() ?? null;
    Error.stackTraceLimit = 1;
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, callee);
    return typeof holder.stack === "string" ? holder.stack : null;
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

#!/usr/bin/env node
// This file keeps to the syntax and the modules of Node 12, so that an older Node reads it and says what is wrong
// instead of failing on the first line it does not understand.
import module from "module";
import os from "os";
import path from "path";

const REQUIRED_MAJOR = 24;

if (Number(process.versions.node.split(".")[0]) < REQUIRED_MAJOR) {
  process.stderr.write(
    "athanor: needs Node " +
      REQUIRED_MAJOR +
      " or newer and this is Node " +
      process.versions.node +
      ": run `npm i -D node@" +
      REQUIRED_MAJOR +
      "` in the project, or install it from https://nodejs.org\n",
  );
  process.exitCode = 1;
} else {
  useCompileCache();
  import("../dist/cli.js").catch(reportLoadFailure);
}

/** Halves the CLI's start. A folder of the user's own, since code read back from a folder others can write to is theirs. */
function useCompileCache() {
  if (!process.env.NODE_COMPILE_CACHE) module.enableCompileCache(compileCacheFolder());
  // Node writes the cache at exit, which a killed server never reaches.
  setTimeout(function flush() {
    module.flushCompileCache();
  }, 2000).unref();
}

function compileCacheFolder() {
  let cacheHome = process.env.XDG_CACHE_HOME;
  try {
    cacheHome = cacheHome || path.join(os.homedir(), ".cache");
  } catch {
    return undefined; // A user with no home folder: Node's own choice.
  }
  return path.join(cacheHome, "athanor", "compile-cache");
}

function reportLoadFailure(error) {
  if (error && error.code === "ERR_MODULE_NOT_FOUND" && /dist[\\/]cli\.js/.test(error.message)) {
    process.stderr.write("athanor: dist/cli.js is missing: run `npm run build` in Athanor's checkout\n");
  } else {
    process.stderr.write("athanor: could not start: " + ((error && error.stack) || error) + "\n");
  }
  process.exitCode = 1;
}

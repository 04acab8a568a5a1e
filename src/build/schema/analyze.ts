import type ts from "typescript";
import { NAME_PATTERN, toWireName } from "../../protocol/names.ts";
import type { Analysis, AnalyzedHook, AnalyzedSite, AnalyzeParams } from "./analysis.ts";
import type { Conversion } from "./conversion.ts";
import { Definitions } from "./definitions.ts";
import { type CheckedCall, reportSyntax, reportTypes } from "./diagnostics.ts";
import { compareText, Faults, lineOf } from "./faults.ts";
import { factoryOf, type Handler, handlerOf, holderNodes } from "./handlers.ts";
import { docOf } from "./jsdoc.ts";
import { Origins } from "./origins.ts";
import { openProject, type Project } from "./program.ts";
import { inputOf, isConcrete, outputOf } from "./signature.ts";
import { type Declared, declaredBy, type FoundCall, findCalls, isService, siteArgumentOf } from "./sites.ts";
import { convert } from "./types.ts";

/** Throws AthanorError naming file and line of every fault found: `build_failed`, `type_not_serialisable`, `name_invalid`, `name_collision`. */
export function analyze(p: AnalyzeParams): Analysis {
  return analyzeFiles(openProject(p));
}

/** The analysis of some of a program's files. `files` default to all of the project's. */
export function analyzeFiles(project: Project, files: ts.SourceFile[] = project.files): Analysis {
  const { program, root } = project;
  const faults = new Faults(root);
  reportSyntax(program, files, faults);
  faults.throwAny();

  const checker = program.getTypeChecker();
  const origins = new Origins(program);
  const conversion: Conversion = {
    checker,
    origins,
    faults,
    definitions: new Definitions(),
    convert: (type, place) => convert(conversion, type, place),
  };
  const inOrder = files.toSorted((a, b) => compareText(a.fileName, b.fileName));
  const calls = inOrder.flatMap((file) => findCalls(checker, origins, file));
  const found = calls.flatMap((call) => resolveCall(conversion, call));
  checkNames(faults, found);
  reportTypes({ program, origins, faults, calls: found.map(checkedCall) });
  const sites = found.flatMap((f) => analyzeSite(conversion, f));
  faults.throwAny();
  return {
    root,
    sites,
    hooks: found.flatMap(hookOf),
    $defs: conversion.definitions.all(),
    programFiles: project.watched,
  };
}

/** A call with what it declares. `handler` is null for services and for the enter and exit hooks, which have no schema. */
interface Found {
  found: FoundCall;
  declared: Exclude<Declared, { form: "fault" }>;
  handler: Handler | null;
}

function resolveCall(c: Conversion, found: FoundCall): Found[] {
  const declared = declaredBy(found);
  if (declared.form === "fault") {
    c.faults.add("build_failed", found.call, declared.message);
    return [];
  }
  if (isHook(found) || isService(found.kind)) return [{ found, declared, handler: null }];
  const handler = handlerOf(c.checker, found, declared);
  if ("fault" in handler) {
    c.faults.add("build_failed", found.call, `${declared.codeName}: ${handler.fault}`);
    return [];
  }
  return [{ found, declared, handler }];
}

function isHook({ kind }: FoundCall): boolean {
  return kind === "enter" || kind === "exit";
}

function checkNames(faults: Faults, all: Found[]): void {
  const first = new Map<string, Found>();
  for (const site of all) {
    if (isHook(site.found)) continue;
    const { codeName } = site.declared;
    const name = toWireName(codeName);
    const { call } = site.found;
    if (!NAME_PATTERN.test(name))
      faults.add(
        "name_invalid",
        call,
        `${codeName} becomes "${name}", which is no name: 1 to 30 of a-z, 0-9 and single inner hyphens`,
      );
    const other = first.get(name);
    if (other === undefined) first.set(name, site);
    else
      faults.add(
        "name_collision",
        call,
        `${codeName} and ${other.declared.codeName} (${faults.place(other.found.call)}) are both "${name}"`,
      );
  }
}

function checkedCall({ found, declared, handler }: Found): CheckedCall {
  if (isService(found.kind)) return { call: found.call, fn: factoryOf(found, declared) };
  const declaration = handler?.signature.getDeclaration() as ts.SignatureDeclaration | undefined;
  return { call: found.call, fn: declared.form === "method" ? declared.method : (declaration ?? null) };
}

function analyzeSite(c: Conversion, { found, declared, handler }: Found): AnalyzedSite[] {
  const { call } = found;
  if (isHook(found) || (handler !== null && !isConcrete(c, declared.codeName, handler, call))) return [];
  const file = call.getSourceFile();
  const { codeName } = declared;
  const docs = (handler?.documented ?? holderNodes(declared)).map(docOf);
  const site: AnalyzedSite = {
    file: c.faults.relative(file.fileName),
    path: file.fileName,
    line: lineOf(file, call.getStart()),
    siteArgument: siteArgumentOf(call),
    decorator: declared.form === "method" ? { start: call.getStart(), end: call.end } : null,
    name: toWireName(codeName),
    codeName,
    className: declared.form === "method" ? declared.className : null,
    classBodyStart: declared.form === "method" ? declared.classBodyStart : null,
    kind: found.kind as AnalyzedSite["kind"],
    input: handler === null ? { mode: "request", params: [] } : inputOf(c, codeName, handler, call),
    output: handler === null ? ANYTHING : outputOf(c, codeName, handler, call),
    description: docs.find((doc) => doc.description !== null)?.description ?? null,
    deprecated: docs.some((doc) => doc.tags.some((tag) => tag.name === "deprecated")),
    hasStandardSchema: handler !== null && (handler.standard.input || handler.standard.output),
    batch: handler?.batch ?? false,
  };
  return [site];
}

/** What a service answers. */
const ANYTHING: AnalyzedSite["output"] = { schema: null, stream: false, standard: false };

function hookOf({ found, declared }: Found): AnalyzedHook[] {
  const { call, kind } = found;
  if ((kind !== "enter" && kind !== "exit") || declared.form !== "method") return [];
  const file = call.getSourceFile();
  const { codeName, className } = declared;
  return [
    {
      path: file.fileName,
      line: lineOf(file, call.getStart()),
      siteArgument: siteArgumentOf(call),
      kind,
      codeName,
      className,
    },
  ];
}

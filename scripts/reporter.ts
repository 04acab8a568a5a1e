/**
 * A reporter for `node --test`: failures in full with what their file printed last, skips with their reason, and one
 * line of counts at the end, for check.ts.
 */
import path from "node:path";
import type { EventData } from "node:test";
import type { TestEvent } from "node:test/reporters";

const KEPT_LINES = 40;

export default async function* terse(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const printed = new Map<string, string[]>();
  const failed = new Set<string>();
  for await (const event of events) {
    switch (event.type) {
      case "test:stdout":
      case "test:stderr":
        keep(printed, path.resolve(event.data.file ?? ""), event.data.message);
        break;
      case "test:fail":
        if (isParentOfFailure(event.data)) break;
        failed.add(path.resolve(event.data.file ?? ""));
        yield describeFailure(event.data);
        break;
      case "test:pass":
        if (event.data.skip !== undefined) yield `    skipped: ${event.data.name} (${reason(event.data.skip)})\n`;
        break;
      case "test:summary":
        if (event.data.file !== undefined) break;
        for (const file of failed) yield describePrinted(file, printed.get(file) ?? []);
        yield counts(event.data.counts);
        break;
    }
  }
}

/** A suite fails because a test in it did, which has been reported by then. */
function isParentOfFailure(failure: EventData.TestFail): boolean {
  return (failure.details.error as { failureType?: string }).failureType === "subtestsFailed";
}

function describeFailure(failure: EventData.TestFail): string {
  const { cause } = failure.details.error;
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? failure.details.error);
  const file = failure.file ? path.relative(process.cwd(), failure.file) : "?";
  return `    FAILED: ${failure.name}  (${file}:${failure.line ?? 1})\n${indent(text)}\n`;
}

function keep(printed: Map<string, string[]>, file: string, message: string): void {
  const lines = printed.get(file) ?? [];
  lines.push(...message.trimEnd().split("\n"));
  printed.set(file, lines.slice(-KEPT_LINES));
}

function describePrinted(file: string, lines: string[]): string {
  if (lines.length === 0) return "";
  return `    the last lines that ${path.relative(process.cwd(), file)} printed:\n${indent(lines.join("\n"))}\n`;
}

function counts(of: EventData.TestSummary["counts"]): string {
  const skipped = of.skipped + of.todo;
  return `counts ${of.passed} ${of.tests - of.passed - skipped} ${skipped}\n`;
}

function reason(skip: string | boolean): string {
  return typeof skip === "string" && skip !== "" ? skip : "no reason given";
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "      ");
}

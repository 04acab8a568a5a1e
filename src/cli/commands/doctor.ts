import { type Command, EXIT, textOption } from "../command.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "Check what Athanor needs: Node, npm, the data folder, disk space, the server and its store",
  options: [{ flags: "--data <dir>", description: "Data folder (env ATHANOR_DATA; default ~/.local/share/athanor)" }],
  async run(call) {
    const { examine } = await import("../doctor.ts");
    const findings = await examine({ data: textOption(call, "data"), api: call.api });
    call.out.result({ ok: findings.every((finding) => finding.ok), checks: findings }, () =>
      findings
        .map(
          ({ name, ok, detail, hint }) =>
            `${ok ? "ok   " : "WRONG"}  ${name.padEnd(12)}  ${detail}${ok || hint === null ? "" : `\n       Next: ${hint}`}`,
        )
        .join("\n"),
    );
    return findings.every((finding) => finding.ok) ? EXIT.ok : EXIT.failed;
  },
};

import { type Command, EXIT, textOption } from "../command.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "Check what Athanor needs: Node, npm, the data folder, disk space, the server and its store",
  options: [
    { flags: "--data <dir>", description: "Data folder (env ATHANOR_DATA; default ~/.local/share/athanor)" },
    { flags: "--store <store>", description: "Also look at this PostgreSQL database (env ATHANOR_STORE)" },
  ],
  async run(call) {
    const { examine } = await import("../doctor.ts");
    const findings = await examine({
      data: textOption(call, "data"),
      store: databaseOf(textOption(call, "store") ?? process.env.ATHANOR_STORE),
      api: call.api,
    });
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

/** The store's URL where it is a database. */
function databaseOf(store: string | undefined): string | undefined {
  return store === undefined || store === "" || store === "sqlite" ? undefined : store;
}

const HEAD_END = "\r\n\r\n";
/** Past this the gateway takes no head either. */
const MAX_HEAD_CHARS = 64 * 1024;

/** Finds where the head of a server's answer with status 101 ends, among the bytes that the server writes. */
export class AnswerEnd {
  #text = "";

  /** Where in the bytes what follows the head begins; `open`: it is not whole yet; `other`: the answer is another. */
  push(bytes: Buffer): number | "open" | "other" {
    const before = this.#text.length;
    this.#text += bytes.toString("latin1");
    for (let at = 0; ; ) {
      const status = /^HTTP\/1\.[01] (\d\d\d)/.exec(this.#text.slice(at, at + 12))?.[1];
      if (status === undefined) return this.#text.length - at < 12 ? "open" : "other";
      // Heads of 1xx may come before it.
      if (!status.startsWith("1")) return "other";
      const end = this.#text.indexOf(HEAD_END, at);
      if (end < 0) return this.#text.length > MAX_HEAD_CHARS ? "other" : "open";
      at = end + HEAD_END.length;
      if (status === "101") return at - before;
    }
  }
}

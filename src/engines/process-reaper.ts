import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A shell that outlives the server just long enough: it reads `+ GROUP` and `- GROUP` from a pipe, and when the pipe closes, however
 * the server died, it kills every group that is left; then, where there is /proc, whatever has inherited the mark in its environment: what
 * left its group too short a time ago to have been seen. It is in a session of its own, so that a terminal's Ctrl-C does not reach it.
 */
const SCRIPT = `
trap '' INT TERM HUP
groups=" "
while read -r op group; do
  case "$op" in
    +) groups="$groups$group " ;;
    -) kept=" "; for g in $groups; do [ "$g" = "$group" ] || kept="$kept$g "; done; groups="$kept" ;;
  esac
done
for g in $groups; do kill -9 "-$g" 2>/dev/null; done
[ "$groups" = " " ] && exit
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for file in $(grep -lsF "$1" /proc/[0-9]*/environ); do
    pid="\${file#/proc/}"
    kill -9 "\${pid%/environ}" 2>/dev/null && found=1
  done
  [ "$found" ] || exit
done
`;

const RESTART_DELAY_MS = 1000;

/**
 *   stopped --start()--> running --stop()--> stopped
 *   running: a shell that dies by itself is replaced, and told all groups again.
 */
export class Reaper {
  /** `NAME=value`, or the beginning of it, of this server's replicas alone. */
  readonly #mark: string;
  #wanted = false;
  #shell: ChildProcess | null = null;
  #groups: ReadonlySet<number> = new Set();

  constructor(p: { mark: string }) {
    this.#mark = p.mark;
  }

  start(): void {
    this.#wanted = true;
    if (this.#shell === null) this.#spawn();
  }

  /** These groups, and no others, are to be killed with the server. */
  watch(groups: ReadonlySet<number>): void {
    for (const group of this.#groups.difference(groups)) this.#tell("-", group);
    for (const group of groups.difference(this.#groups)) this.#tell("+", group);
    this.#groups = new Set(groups);
  }

  /** Kills the groups that are still registered. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const shell = this.#shell;
    this.#shell = null;
    this.#groups = new Set();
    if (!shell || shell.exitCode !== null || shell.signalCode !== null) return;
    const exited = once(shell, "exit").catch(() => {});
    shell.ref();
    shell.stdin?.end();
    await exited;
  }

  #spawn(): void {
    const shell = spawn("/bin/sh", ["-c", SCRIPT, "athanor-reaper", this.#mark], {
      detached: true,
      cwd: "/",
      env: {},
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell = shell;
    shell.unref();
    // Writes to a shell that has just died; its exit is what is acted on.
    shell.stdin?.on("error", () => {});
    shell.on("error", () => this.#replace(shell));
    shell.on("exit", () => this.#replace(shell));
    for (const group of this.#groups) this.#tell("+", group);
  }

  #tell(op: "+" | "-", group: number): void {
    this.#shell?.stdin?.write(`${op} ${group}\n`);
  }

  #replace(shell: ChildProcess): void {
    if (this.#shell !== shell) return;
    this.#shell = null;
    const retry = () => {
      if (this.#wanted && this.#shell === null) this.#spawn();
    };
    setTimeout(retry, RESTART_DELAY_MS).unref();
  }
}

import { spawnSync } from "node:child_process";

/**
 * A network namespace with one link to the machine, for one server and what it starts: as if it was on a machine of its own, whose cable can be
 * pulled. Needs the right to make one (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN).
 *
 *   linked --cut()--> cut --heal()--> linked       any --dispose--> gone
 */
export class Namespace implements Disposable {
  /** The server's own address. */
  readonly address: string;
  /** This machine's, at the other end of the link. */
  readonly outside: string;
  readonly #name: string;
  readonly #link: string;

  private constructor(p: { name: string; link: string; outside: string; address: string }) {
    this.#name = p.name;
    this.#link = p.link;
    this.outside = p.outside;
    this.address = p.address;
  }

  /** Null where this process may not. */
  static create(index: number): Namespace | null {
    const mark = `${process.pid % 100_000}-${index}`;
    const [name, link, inner] = [`athanor-${mark}`, `ath${mark}`, `atn${mark}`];
    // Of 10.0.0.0/8, a network of its own for this process and server.
    const subnet = `10.${200 + (index % 50)}.${process.pid % 256}`;
    const created = new Namespace({ name, link, outside: `${subnet}.1`, address: `${subnet}.2` });
    const within = ["-n", name];
    const steps = [
      ["netns", "add", name],
      ["link", "add", link, "type", "veth", "peer", "name", inner, "netns", name],
      ["addr", "add", `${created.outside}/24`, "dev", link],
      ["link", "set", link, "up"],
      [...within, "addr", "add", `${created.address}/24`, "dev", inner],
      [...within, "link", "set", inner, "up"],
      [...within, "link", "set", "lo", "up"],
    ];
    if (steps.every(ip)) return created;
    created[Symbol.dispose]();
    return null;
  }

  /** What to put before a command, so that it runs in here. */
  get command(): string[] {
    return ["ip", "netns", "exec", this.#name];
  }

  cut(): void {
    ip(["link", "set", this.#link, "down"]);
  }

  heal(): void {
    ip(["link", "set", this.#link, "up"]);
  }

  [Symbol.dispose](): void {
    ip(["link", "del", this.#link]);
    ip(["netns", "del", this.#name]);
  }
}

const ip = (args: string[]): boolean => spawnSync("ip", args, { stdio: "ignore" }).status === 0;

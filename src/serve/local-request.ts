import type { HttpRequestHead } from "../runtime/http-face.ts";
import { requestHeaders } from "../server/gateway/headers.ts";
import type { Exchange } from "../server/http/exchange.ts";
import { TrustedProxies } from "../server/http/proxies.ts";

const NO_PROXIES = new TrustedProxies("none");

interface RequestTarget {
  function: string;
  maxBodyBytes: number;
  access: "public" | "token";
  /** Of a service, which sees paths without it. */
  prefix: string;
  /** As the function sees it. */
  path: string;
}

export function originOf(x: Exchange): string {
  return `http://${x.host}`;
}

/** A request's head as the runtime reads it; what is rarely asked for is made when it is. */
export class LocalRequest implements HttpRequestHead {
  readonly kind = "http";
  readonly #x: Exchange;
  readonly #target: RequestTarget;
  #headers: [string, string][] | null = null;

  constructor(x: Exchange, target: RequestTarget) {
    this.#x = x;
    this.#target = target;
  }

  get upgrade(): "websocket" | null {
    return this.#x.upgrade === null ? null : "websocket";
  }

  get requestId(): string {
    return this.#x.requestId;
  }

  get function(): string {
    return this.#target.function;
  }

  get method(): string {
    return this.#x.method;
  }

  get url(): string {
    const { search } = this.#x;
    return `${originOf(this.#x)}${this.#target.path}${search === "" ? "" : `?${search}`}`;
  }

  get hasBody(): boolean {
    return this.#x.hasBody;
  }

  get maxBodyBytes(): number {
    return this.#target.maxBodyBytes;
  }

  get headers(): [string, string][] {
    const { access, prefix } = this.#target;
    this.#headers ??= requestHeaders(this.#x, {
      scheme: "http",
      host: this.#x.host,
      prefix,
      proxies: NO_PROXIES,
      hideAuthorization: access === "token",
    });
    return this.#headers;
  }

  header(name: string): string | null {
    return this.#x.header(name) ?? null;
  }
}

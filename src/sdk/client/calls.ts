import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { CallAnswer, CallRequest, CallsRequest, JobJson } from "../../protocol/wire.ts";
import { postForLines } from "./lines.ts";
import { type Sender, unreachable } from "./request.ts";

/** Names the job whose code makes the calls of a request: cancelled, it takes them with it. */
export const PARENT_JOB_HEADER = "athanor-parent-job";

interface Pending {
  request: CallRequest;
  parentJob: string | null;
  resolve(job: JobJson): void;
  reject(error: unknown): void;
}

/**
 * Sends calls in few requests without making any of them wait: what is called in one turn of the event loop shares a request, and while the server
 * has not accepted one yet, the next gathers. So one call at a time leaves at once, and many at a time cost one HTTP exchange for all,
 * as commits of a database are grouped. A request's calls are those of one parent job, or of none.
 *
 *   idle      --call()-->             gathering    to the end of the turn
 *   gathering --the turn is over-->   sending      one request; calls that come now gather for the next
 *   sending   --all are on disk-->    gathering | idle
 *
 * Requests that were accepted stay open beside each other until their calls are answered.
 */
export class Calls {
  readonly #sender: Sender;
  #waiting: Pending[] = [];
  #scheduled = false;
  #sending = false;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /**
   * The job: once it has ended, or CLIENT_DEFAULTS.waitS later as it then is, where the request says `wait`; else as soon as it is on disk.
   * Rejects with what the server says of the call, or `server_unreachable`: then it may have been taken or not, so repeat it with its key.
   */
  call(request: CallRequest, parentJob: string | null = null): Promise<JobJson> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, parentJob, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending || this.#waiting.length === 0) return;
    this.#scheduled = true;
    endOfTurn(() => {
      this.#scheduled = false;
      const taken = this.#takeWaiting();
      this.#sending = true;
      void this.#exchange(taken, () => {
        this.#sending = false;
        this.#schedule();
      });
    });
  }

  /** The next request's calls: all of one parent, which the request names. */
  #takeWaiting(): Pending[] {
    const parentJob = this.#waiting[0]?.parentJob;
    const other = this.#waiting.findIndex((pending) => pending.parentJob !== parentJob);
    const sameParent = other === -1 ? this.#waiting.length : other;
    return this.#waiting.splice(0, Math.min(sameParent, CLIENT_DEFAULTS.maxCallsPerRequest));
  }

  async #exchange(taken: Pending[], accepted: () => void): Promise<void> {
    const open = new Map(taken.entries());
    const body: CallsRequest = { calls: taken.map(({ request }) => request) };
    const parentJob = taken[0]?.parentJob ?? null;
    let failure: unknown;
    try {
      const answers = postForLines(this.#sender, {
        path: "/v1/calls",
        body: JSON.stringify(body),
        headers: {
          prefer: `wait=${CLIENT_DEFAULTS.waitS}`,
          ...(parentJob === null ? {} : { [PARENT_JOB_HEADER]: parentJob }),
        },
        onLine: (line) => settle(open, JSON.parse(line) as CallAnswer),
      });
      await answers.accepted;
      accepted();
      await answers.ended;
      failure = unreachable(this.#sender.url, new Error("the answer ended early"));
    } catch (error) {
      failure = error;
      accepted();
    }
    for (const { reject } of open.values()) reject(failure);
  }
}

function settle(open: Map<number, Pending>, answer: CallAnswer): void {
  const pending = open.get(answer.call);
  open.delete(answer.call);
  if ("job" in answer) pending?.resolve(answer.job);
  else pending?.reject(AthanorError.fromProblem(answer.problem));
}

/** Node and Bun have setImmediate; elsewhere a message to oneself comes as soon. */
function endOfTurn(run: () => void): void {
  if (typeof setImmediate === "function") {
    setImmediate(run);
    return;
  }
  setTimeout(run, 0);
}

import type { JobError } from "./job.ts";
import type { Json, JsonSchema } from "./json.ts";
import type { FunctionSpec } from "./spec.ts";

/**
 * The replica protocol: what a server and a replica's runtime say to each other on the connection that the replica opened.
 *
 * A frame is `u32 length | u8 type | u32 stream | payload` (big-endian; the length counts what follows it). Stream 0 is the
 * connection itself. Every other stream is one call, opened by the server with ascending numbers: a job or an HTTP exchange.
 * Payloads are JSON in UTF-8, except DATA (bytes) and WINDOW (u32). The frames of one turn of the event loop leave in one write.
 *
 *   replica                      server
 *   HELLO {token}          ->
 *                          <-    ASSIGN {bundle, functions, ...}       a blank becomes a replica of one group
 *   READY | START_FAILED   ->
 *                          <-    OPEN call, DATA*, END                 the input: a head, then bytes
 *   PROGRESS, CHUNK, LOG   ->
 *   HEAD, DATA*, END       ->                                          the answer; END closes the stream
 *                          <-    CANCEL                                abort; an answer still comes, or the process is killed
 *                          <-    DRAIN                                 no more streams; finish, run exit hooks, leave
 *
 * Flow control: DATA and CHUNK count against a window per stream and direction of WINDOW_BYTES; the receiver gives back with WINDOW
 * what it has consumed. A frame may leave while there is credit, and the last one may overdraw it. Other frames are not counted;
 * each is bounded by MAX_FRAME_BYTES. The input's END is left out where the OPEN says that no bytes follow it. An END with a payload bears trailers,
 * pairs of lower-case names and values. A DATA without bytes says that an HTTP answer's body is whole, while its code works on and END is yet to come.
 */
export const FrameType = {
  HELLO: 1,
  ASSIGN: 2,
  READY: 3,
  START_FAILED: 4,
  PING: 5,
  PONG: 6,
  DRAIN: 7,
  LOG: 8,
  OPEN: 16,
  DATA: 17,
  END: 18,
  WINDOW: 19,
  CANCEL: 20,
  HEAD: 21,
  PROGRESS: 22,
  CHUNK: 23,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const MAX_FRAME_BYTES = 16 * 1024 * 1024;
export const WINDOW_BYTES = 1024 * 1024;
/** Senders cut bodies into DATA frames of at most this. */
export const DATA_CHUNK_BYTES = 64 * 1024;

/**
 * What a CHUNK frame counts against its stream's window. Small ones count for more than their bytes: no more of them are under way than half
 * the job's event window, so that the function waits at its `yield` and none has to give way to later ones before it was stored.
 */
export function chunkCost(bytes: number, eventsWindow: number): number {
  return Math.max(bytes, Math.ceil(WINDOW_BYTES / Math.max(1, Math.floor(eventsWindow / 2))));
}

export interface HelloMessage {
  token: string;
  pid: number;
}

export interface AssignMessage {
  replicaId: string;
  app: string;
  deploymentId: string;
  /** The bundle, its source map beside it as `<bundle>.map`. */
  bundlePath: string;
  /** CommonJS text of the validators; see schema/compile.ts. */
  validatorsPath: string;
  /** Where a cache of compiled code may be kept for this deployment. */
  compileCacheDir: string | null;
  /** Where the files that ship with the deployment lie, those of all its replicas. Not there where it has none. */
  filesDir: string;
  /** The interpreter of the function's Python environment; null where it is not Python. */
  python: string | null;
  workDir: string;
  env: Record<string, string>;
  /** Open Node's debugger on a free port of this machine. */
  inspect: boolean;
  functions: FunctionSpec[];
  $defs: { [name: string]: JsonSchema };
  /** For calls from inside a replica: the server, and a token that holds for this app while this replica lives. */
  serverUrl: string;
  serverToken: string;
}

/** Where a service of a replica listens. */
export type ServiceAddress = { path: string } | { host: string; port: number };

export interface ReadyMessage {
  /** Of a service that the gateway connects to; null for what is called in frames. */
  address: ServiceAddress | null;
  /** Connections of clients may be handed over to this process, and its service answers on them. */
  takesSockets: boolean;
  /** Milliseconds of each phase, for `deployment show`. */
  timings: { loadMs: number; enterMs: number };
}

export interface StartFailedMessage {
  error: JobError;
}

export type OpenMessage = OpenJob | OpenHttp;

export interface OpenJob {
  kind: "job";
  jobId: string;
  function: string;
  attempt: number;
  /** The wire body, validated. Media stand in it as MediaRef; their bytes follow as DATA in the order of `media`. */
  input: Json;
  media: { size: number }[];
  /** The job's event window: older log lines than this many need not be sent. */
  eventsWindow: number;
  /** The trace that the job belongs to; left out where there is none. */
  traceparent?: string;
}

export interface OpenHttp {
  kind: "http";
  requestId: string;
  function: string;
  method: string;
  /** Absolute, as the client sees it. */
  url: string;
  /** Lower-case names; pairs in order. */
  headers: [string, string][];
  hasBody: boolean;
  /** Bytes of body after which the runtime must answer 413. */
  maxBodyBytes: number;
  /**
   * The protocol that the client asks to switch to, `websocket`; null: none. Where the answer is a HEAD with status 101, DATA is from then on what
   * each side would write to the connection, and END says that it writes no more.
   */
  upgrade: string | null;
  /**
   * After its 101 the client's own connection is handed over: nothing follows the answer's head, and a SocketMessage comes beside these frames. From
   * then on DATA for the replica is a closing frame, to be put between two of the code's, CANCEL cuts the connection, and END says that it is closed,
   * with how many bytes it bore.
   */
  handOver?: true;
}

/** `OpenHttp.upgrade` of a call that is a connection to the service's own HTTP server: after a 101 at once, DATA is what each side writes to it. */
export const HTTP_CONNECTION = "http/1.1";

/** Comes with a socket, over the channel that an engine may have to a process. */
export interface SocketMessage {
  /** Of the call that it belongs to. */
  stream: number;
  /** What the client has sent past its request, in base64. */
  early: string;
}

/** Tells the message from others of the channel; Node shows one of such a name to nobody who listens for the messages of user code. */
export const SOCKET_COMMAND = "NODE_ATHANOR_SOCKET";

/** The names of the figures in the END of a call whose connection was handed over. */
export const CARRIED = { in: "bytes-in", out: "bytes-out" } as const;

export type HeadMessage =
  | { kind: "http"; status: number; headers: [string, string][] }
  /** Before the answer's own head, any number of times: a 1xx other than 101, such as 103 (early hints). */
  | { kind: "information"; status: number; headers: [string, string][] }
  /** A job's result; media stand in it as MediaRef, their bytes follow as DATA. */
  | { kind: "result"; value: Json; media: { size: number }[] }
  /** `fatal`: it was thrown out of band, and the replica leaves because of it; its other calls are not to blame. */
  | { kind: "error"; error: JobError; retryable: boolean; fatal?: true };

export interface ProgressMessage {
  progress: number;
  message: string | null;
}

export interface ChunkMessage {
  index: number;
  value: Json;
}

export interface CancelMessage {
  reason: "cancelled" | "timeout" | "disconnected" | "shutdown";
}

export interface LogMessage {
  lines: LoggedLine[];
}

export interface LoggedLine {
  /** The call that wrote it; 0: none that is known. */
  stream: number;
  fd: "stdout" | "stderr";
  line: string;
  at: number;
  /** Lines before it that were let go, since output came too fast; absent: none. */
  dropped?: number;
}

export interface ServerJson {
  version: string;
  node: string;
  data_dir: string;
  pid: number;
  started_at: string;
}

export interface StoreJson {
  kind: "sqlite" | "postgres";
  /** The file, or role, host, database and schema. */
  place: string;
  version: string;
  schema: number;
  /** Of a read, there and back. */
  latency_ms: number;
  /** Servers that share it, this one included. */
  servers: number;
  leads: boolean;
}

/** The file `server.json` in the data folder, by which a CLI on the same machine finds a running server. */
export interface ServerFile {
  url: string;
  pid: number;
  version: string;
}

/** What people who keep the store ask of it. */
export interface InspectionVerbs {
  /** What the store is, for `doctor`; asked of the database itself. Nothing in it is secret. */
  about(): Promise<StoreAbout>;

  /** What holds up or is wrong with the stored data; empty where all is well. For `doctor`. */
  check(): Promise<string[]>;
  /** Writes a whole and sound copy to a new file while the store is in use. Rejects with `backup_unsupported` where the store has its own tools. */
  backup(p: { path: string }): Promise<void>;
}

export interface StoreAbout {
  kind: "sqlite" | "postgres";
  /** The file, or `role@host:port/database, schema athanor`. */
  place: string;
  /** Of SQLite or of PostgreSQL. */
  version: string;
  /** Of its newest migration. */
  schema: number;
  /** A read took so long, there and back. */
  latencyMs: number;
}

/** Which jobs and deployments need which blobs; the bytes are files. */
export interface BlobVerbs {
  /** Of these hashes, the ones that nothing needs any more. */
  blobUnreferenced(p: { hashes: string[] }): Promise<string[]>;
  /** Hashes that something needs, ascending; `after` is a hash, exclusive. */
  blobsNeeded(p: { after?: string; limit: number }): Promise<string[]>;
}

import type { Store } from "../store/store.ts";
import type { Blobs } from "./blobs.ts";

const PAGE = 1000;

/** Hashes of all files that jobs and deployments need, ascending. */
export async function* neededBlobs(store: Pick<Store, "blobsNeeded">): AsyncGenerator<string> {
  for (let after = ""; ; ) {
    const page = await store.blobsNeeded({ after, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

/** What is wrong with the files, as `check` says what is wrong with the store. */
export async function checkBlobs(p: { store: Store; blobs: Blobs }): Promise<string[]> {
  const problems: string[] = [];
  let batch: string[] = [];
  const look = async (): Promise<void> => {
    const missing = await p.blobs.missing(batch);
    // A job that has been deleted since needs its files no more.
    const gone = missing.length === 0 ? [] : await p.store.blobUnreferenced({ hashes: missing });
    for (const sha256 of missing) if (!gone.includes(sha256)) problems.push(`the file ${sha256} is missing`);
    batch = [];
  };
  for await (const sha256 of neededBlobs(p.store)) if (batch.push(sha256) === PAGE) await look();
  await look();
  return problems;
}

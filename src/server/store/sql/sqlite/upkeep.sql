-- name: jobPrune
-- A webhook that is still due keeps its job.
DELETE FROM jobs
WHERE job IN (
  SELECT job FROM jobs INDEXED BY jobs_ended
  WHERE finished_at IS NOT NULL AND finished_at + ttl_s * 1000 < :now
    AND NOT (webhook = 1 AND EXISTS (SELECT 1 FROM webhooks WHERE webhooks.job = jobs.job AND state = 'due'))
  ORDER BY finished_at + ttl_s * 1000
  LIMIT :limit
);

-- name: jobKeyPrune
DELETE FROM idempotency_keys WHERE created_at <= :before;

-- name: countsPrune
DELETE FROM job_counts WHERE queued = 0 AND running = 0;

-- name: blobReferenced
SELECT 1 AS referenced WHERE EXISTS (SELECT 1 FROM job_blobs WHERE sha256 = :sha256)
  OR EXISTS (SELECT 1 FROM deployments WHERE upload_blob = :sha256);

-- name: blobsNeeded
SELECT sha256 FROM job_blobs WHERE sha256 > :after
UNION SELECT upload_blob FROM deployments WHERE upload_blob > :after
ORDER BY 1 LIMIT :limit;

-- name: about
SELECT sqlite_version() AS version;

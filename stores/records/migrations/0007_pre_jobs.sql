-- Jobs that are paused: open, but on nobody's lease.
ALTER TABLE jobs ADD COLUMN paused_at timestamptz;
ALTER TABLE jobs ADD COLUMN paused_seconds double precision NOT NULL DEFAULT 0;  -- in all former pauses

DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (store_id) WHERE state IN ('queued', 'running', 'paused');

-- How many jobs of a workspace wait: counted before an upload is taken in.
CREATE INDEX jobs_unfinished ON jobs (workspace_id) WHERE state IN ('queued', 'running', 'paused');

-- Jobs that ended long ago, to be forgotten.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

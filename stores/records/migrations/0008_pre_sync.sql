-- Sync sources: a loader whose documents are looked for again, by a schedule or on demand.

CREATE TABLE sync_sources (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    store_id uuid NOT NULL REFERENCES document_stores ON DELETE CASCADE,
    loader_id uuid NOT NULL UNIQUE REFERENCES loaders ON DELETE CASCADE,  -- holds connector, config, splitter
    cron text,                            -- a schedule is a cron expression in a time zone,
    time_zone text NOT NULL DEFAULT 'UTC',
    every_seconds int,                    -- or an interval, or neither: on demand only
    enabled boolean NOT NULL,
    delete_missing boolean NOT NULL,      -- what the origin no longer lists leaves the document store
    next_run_at timestamptz,              -- null: not by itself
    queued_at timestamptz,                -- when the newest run was queued
    job_id uuid REFERENCES jobs ON DELETE SET NULL,   -- the newest run: under way, or how it ended
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cron IS NULL OR every_seconds IS NULL)
);
CREATE INDEX sync_sources_store ON sync_sources (store_id, created_at);
CREATE INDEX sync_sources_due ON sync_sources (next_run_at) WHERE enabled;

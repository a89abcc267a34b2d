-- Jobs that get nowhere end after some starts; those that get further may be started as often as workers die.
ALTER TABLE jobs ADD COLUMN idle_starts int NOT NULL DEFAULT 0;  -- starts since the job last got further

-- Chunks of uploads under way, which nobody may see yet: few, and removed when their upload fails.
CREATE INDEX chunks_hidden ON chunks (store_id) WHERE NOT live;

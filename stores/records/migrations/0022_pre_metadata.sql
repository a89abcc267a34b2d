-- Filters of a search are answered by the ledger first: which chunks pass, if they are few. Equality, membership in a
-- list and an array that holds a value are found in this index; other conditions are compared with every chunk.
CREATE INDEX chunks_metadata ON chunks USING gin (metadata jsonb_path_ops);

-- Loaders that are saved before they are processed, and documents that were fetched from somewhere.

-- Saved, and not processed since. Its documents are in the state `saved`: kept, and no job's; those that were taken off
-- the loader are `leaving` without a job until it is processed.
ALTER TABLE loaders ADD COLUMN draft boolean NOT NULL DEFAULT false;

-- Stays when it holds no documents: somebody saved it, or it fetches what it loads.
ALTER TABLE loaders ADD COLUMN kept boolean NOT NULL DEFAULT false;

-- What its place said of the bytes in `blob`: {url, etag, modified, size}. NULL for uploads, and
-- for what could not be fetched so far.
ALTER TABLE documents ADD COLUMN origin jsonb;

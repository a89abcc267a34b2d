-- An index of vectors is built over all points once these are many (ADR 59). Collections that are there have theirs.
ALTER TABLE collections ADD COLUMN complete boolean NOT NULL DEFAULT true;
ALTER TABLE collections ALTER COLUMN complete SET DEFAULT false;

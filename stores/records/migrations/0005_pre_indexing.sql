-- A chunk is indexed or not: number NULL <=> neither in the keyword index nor among the vectors.
ALTER TABLE chunks ALTER COLUMN number DROP NOT NULL;
ALTER TABLE chunks ADD COLUMN head text NOT NULL DEFAULT '';          -- lines put before the text when it is indexed
ALTER TABLE chunks ADD COLUMN edited boolean NOT NULL DEFAULT false;  -- its text or metadata are no longer the source's
CREATE INDEX chunks_unindexed ON chunks (store_id, id) WHERE number IS NULL;

-- A chunk of it was edited or deleted: what is made again from the source differs from what is there.
ALTER TABLE documents ADD COLUMN edited boolean NOT NULL DEFAULT false;
ALTER TABLE documents ADD COLUMN removed int NOT NULL DEFAULT 0;      -- chunks deleted by hand, whose places stay free

-- The heads of the chunks so far, as they were put together when these were indexed.
UPDATE chunks SET head = lines.head FROM (
    SELECT store_id, id, concat_ws(E'\n',
        CASE WHEN title <> '' AND title IS DISTINCT FROM source AND NOT starts_with(text, title)
            AND coalesce(heading <> title AND NOT starts_with(heading, title || ' > '), true) THEN title END,
        CASE WHEN heading <> '' AND NOT starts_with(text, heading) THEN heading END) AS head
    FROM (
        SELECT store_id, id, text, metadata ->> 'source' AS source,
            CASE jsonb_typeof(metadata -> 'title') WHEN 'string' THEN metadata ->> 'title' END AS title,
            CASE jsonb_typeof(metadata -> 'heading') WHEN 'string' THEN metadata ->> 'heading' END AS heading
        FROM chunks) AS parts) AS lines
WHERE lines.store_id = chunks.store_id AND lines.id = chunks.id AND lines.head <> '';

-- Every vector collection that exists for a document store: the one that is searched (`document_stores.collection`),
-- one that is being filled to take its place, and those that wait to be dropped. Names are never given twice.
ALTER TABLE document_stores ADD COLUMN spaces int NOT NULL DEFAULT 0; -- collections made so far
CREATE TABLE collections (
    name text PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    store_id uuid NOT NULL REFERENCES document_stores ON DELETE CASCADE,
    building boolean NOT NULL DEFAULT false, -- what is removed from the searched collection must leave this one too
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX collections_store ON collections (store_id);

INSERT INTO collections (name, workspace_id, store_id)
SELECT collection, workspace_id, id FROM document_stores WHERE collection IS NOT NULL;
UPDATE document_stores SET spaces = 1 WHERE collection IS NOT NULL;

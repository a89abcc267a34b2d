-- A text that a document store has indexed already is not embedded again: its vector is looked up by what is embedded.

-- Its caller brought its vector: not what the embedder makes of its text. Whether one did is not known of chunks so far.
ALTER TABLE chunks ADD COLUMN own_vector boolean NOT NULL DEFAULT false;
UPDATE chunks SET own_vector = true FROM documents d
WHERE d.id = chunks.document_id AND d.recipe ->> 'loader' = 'chunks' AND chunks.number IS NOT NULL;

-- No column holds the hash: the index follows every text that changes, and old rows need no rewriting.
CREATE INDEX chunks_same_text ON chunks (
    store_id, (md5(CASE head WHEN '' THEN text ELSE head || E'\n' || text END)::uuid), number
) WHERE number IS NOT NULL AND NOT own_vector;

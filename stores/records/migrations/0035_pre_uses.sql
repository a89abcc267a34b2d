-- The document stores that a flow names: read out of its graph, which is sealed, whenever that is written. Null: not read
-- yet; workers read what older code has kept.
ALTER TABLE chatflows ADD COLUMN document_stores uuid[];
CREATE INDEX chatflows_document_stores ON chatflows USING gin (document_stores);
CREATE INDEX chatflows_unread ON chatflows (id) WHERE document_stores IS NULL;

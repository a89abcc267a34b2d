-- A document store may be a copy of another one, to try settings on, and may be there for a while only.
ALTER TABLE document_stores ADD COLUMN copy_of uuid;                -- which may be gone by now
ALTER TABLE document_stores ADD COLUMN expires_at timestamptz;      -- null: it stays
CREATE INDEX document_stores_copies ON document_stores (copy_of) WHERE copy_of IS NOT NULL;
CREATE INDEX document_stores_expiring ON document_stores (expires_at) WHERE expires_at IS NOT NULL;

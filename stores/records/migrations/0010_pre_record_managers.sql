-- What record managers ask of the ledger; see service/document_stores/cleanup.py.
ALTER TABLE documents ADD COLUMN namespace text NOT NULL DEFAULT '';   -- which documents a full cleanup looks at
ALTER TABLE documents ADD COLUMN superseded int NOT NULL DEFAULT 0;    -- live chunks of former content, kept on demand

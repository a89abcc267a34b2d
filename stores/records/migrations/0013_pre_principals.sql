-- Who may find a document: principals, such as user:anna or group:hr, that a query is made for (ADR 0033).

-- NULL: not restricted. An empty list: nobody, until somebody is named.
ALTER TABLE documents ADD COLUMN principals text[] CHECK (array_position(principals, NULL) IS NULL);
-- Its points do not say these principals yet: a job, or `ragstone doctor --fix`, sees to it.
ALTER TABLE documents ADD COLUMN unmarked boolean NOT NULL DEFAULT false;
CREATE INDEX documents_guarded ON documents (store_id) WHERE principals IS NOT NULL;
CREATE INDEX documents_unmarked ON documents (store_id) WHERE unmarked;

-- What documents get that come in through the loader and are not there yet.
ALTER TABLE loaders ADD COLUMN principals text[] CHECK (array_position(principals, NULL) IS NULL);

-- Documents without principals are found by nobody.
ALTER TABLE document_stores ADD COLUMN restricted boolean NOT NULL DEFAULT false;

-- Whom the key asks for, always. NULL: whom each call names.
ALTER TABLE api_keys ADD COLUMN principals text[] CHECK (array_position(principals, NULL) IS NULL);

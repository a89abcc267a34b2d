-- A backend per document store: which vector store holds a collection, {url, credential}, without secrets. NULL: the
-- service's own. It says where the vectors are; document_stores.vector_store_config says where they are to be.
ALTER TABLE collections ADD COLUMN backend jsonb;

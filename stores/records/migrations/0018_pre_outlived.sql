-- Which job was to remove a document and did not end well: retrying that job removes it after all.
ALTER TABLE documents ADD COLUMN outlived uuid;

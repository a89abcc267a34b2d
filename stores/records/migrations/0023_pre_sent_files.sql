-- What later questions of a conversation may be answered from: the files that came with a message, and their text.
ALTER TABLE attachments ADD COLUMN message_id uuid;            -- the user's message; no foreign key: housekeeping follows
ALTER TABLE attachments ADD COLUMN place int NOT NULL DEFAULT 0;    -- among the files of the message
ALTER TABLE attachments ADD COLUMN part text;                  -- document, text, picture, fetched, address; null: for nobody
ALTER TABLE attachments ADD COLUMN content text;               -- the text of a document, or an address
ALTER TABLE attachments ADD COLUMN letters int NOT NULL DEFAULT 0;  -- of it; counted with the bytes of the file
CREATE INDEX attachments_message ON attachments (message_id) WHERE message_id IS NOT NULL;

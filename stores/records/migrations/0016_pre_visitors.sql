-- Whose a conversation's file is, where nobody has a key: a hash of the visitor's address. Empty: from before, or a key's.
ALTER TABLE attachments ADD COLUMN visitor text NOT NULL DEFAULT '';

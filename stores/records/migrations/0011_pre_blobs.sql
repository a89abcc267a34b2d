-- Who owns a file is asked by its key when the files that nobody owns are looked for.
CREATE INDEX documents_blob ON documents (blob);
CREATE INDEX attachments_blob ON attachments (blob);

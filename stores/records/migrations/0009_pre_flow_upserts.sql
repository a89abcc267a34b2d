-- A vector-store node of a chatflow is a document store that the flow owns: made with its first upsert, removed with
-- the flow. No foreign key: the purge that follows the flow's deletion still needs to know whose it was.
ALTER TABLE document_stores ADD COLUMN flow_id uuid;
ALTER TABLE document_stores ADD COLUMN node_id text;
ALTER TABLE document_stores ADD CONSTRAINT document_stores_owner CHECK ((flow_id IS NULL) = (node_id IS NULL));
CREATE UNIQUE INDEX document_stores_node ON document_stores (flow_id, node_id) WHERE flow_id IS NOT NULL;

-- Files that a conversation brought along. Their bytes are blobs, named by the server; names are only shown.
CREATE TABLE attachments (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL,            -- no foreign key: its purge removes the blobs, then the rows
    chat_id text NOT NULL,
    caller text NOT NULL,                 -- as in chat_messages
    name text NOT NULL,
    mime text NOT NULL,                   -- by content
    size bigint NOT NULL,
    blob text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX attachments_chat ON attachments (chatflow_id, chat_id, created_at);
CREATE INDEX attachments_expiry ON attachments (expires_at);

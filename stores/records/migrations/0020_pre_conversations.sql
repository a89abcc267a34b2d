-- What people say of answers, and who they say they are.

CREATE TABLE feedback (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    message_id uuid NOT NULL UNIQUE REFERENCES chat_messages ON DELETE CASCADE,  -- a second one changes the first
    chat_id text NOT NULL,
    rating text NOT NULL,                 -- THUMBS_UP, THUMBS_DOWN
    content text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feedback_flow ON feedback (chatflow_id, created_at);

CREATE TABLE leads (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    chat_id text NOT NULL,
    name text,
    email text,
    phone text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX leads_flow ON leads (chatflow_id, created_at);

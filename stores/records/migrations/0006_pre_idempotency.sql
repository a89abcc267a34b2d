-- Requests that came with an Idempotency-Key, and their first answers.
CREATE TABLE idempotency_keys (
    owner text NOT NULL,                  -- who sent it: 'key:<id>' of an API key, 'public:<hash>' of a client without
    key text NOT NULL,
    workspace_id uuid REFERENCES workspaces ON DELETE CASCADE,  -- null: a public route
    fingerprint bytea NOT NULL,           -- sha256 over method, path, query and body
    request text NOT NULL,                -- method and path, for people
    holder uuid NOT NULL,                 -- of the execution that may write the answer
    leased_until timestamptz NOT NULL,    -- renewed while it runs
    status int,                           -- null: it runs, or its process died
    headers jsonb,                        -- [[name, value]]
    body bytea,                           -- null beside a status: larger than is kept
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
ALTER TABLE idempotency_keys ALTER COLUMN body SET STORAGE EXTERNAL;

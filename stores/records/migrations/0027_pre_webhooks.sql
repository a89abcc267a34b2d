-- Agentflows that calls of other services start: their secrets, what is sent back, and who looks on.

CREATE TABLE webhook_secrets (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL UNIQUE REFERENCES chatflows ON DELETE CASCADE,
    secret text NOT NULL,                 -- sealed
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,                  -- receivers know a delivery that comes twice by it
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    chat_id text NOT NULL,
    url text NOT NULL,                    -- sealed, as is the secret that signs
    secret text NOT NULL,
    own_secret boolean NOT NULL,          -- the start node's, by which Flowise's header is signed too
    body text NOT NULL,                   -- sent as it stands; empty when it has arrived
    state text NOT NULL DEFAULT 'pending',  -- pending, delivered, failed
    attempts int NOT NULL DEFAULT 0,
    next_at timestamptz,                  -- of one that is pending
    last_status int,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_flow ON webhook_deliveries (chatflow_id, created_at DESC);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE state <> 'pending';

-- Who looks on while a flow is tried out. Not logged: a crash of the database forgets what nobody reads any more.
CREATE UNLOGGED TABLE webhook_listeners (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX webhook_listeners_flow ON webhook_listeners (chatflow_id, expires_at);

CREATE UNLOGGED TABLE webhook_frames (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    frames text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_frames_flow ON webhook_frames (chatflow_id, sequence);
CREATE INDEX webhook_frames_age ON webhook_frames (created_at);

-- What runs of agentflows did, node by node, and what one that waits for a person goes on from.

CREATE TABLE executions (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    caller text NOT NULL,                 -- as of chat_messages: a session id alone opens no run
    session_id text NOT NULL,
    chat_id text NOT NULL,
    chat_type text NOT NULL,
    state text NOT NULL,                  -- INPROGRESS, FINISHED, ERROR, TERMINATED, TIMEOUT, STOPPED
    attempt int NOT NULL DEFAULT 1,       -- starts so far: the newest one alone may write
    lease_until timestamptz,              -- of a run in progress; one whose process died is over then
    data jsonb NOT NULL DEFAULT '[]',     -- the nodes that ran, as answers show them
    pause jsonb,                          -- what a run that stopped goes on from; kept until it has got further
    context jsonb,                        -- question, form and webhook that a resumed run still needs
    action jsonb,                         -- what may be answered
    waits_at text,                        -- the node that waits for it
    answered text[] NOT NULL DEFAULT '{}',  -- actions that were answered
    usage jsonb,
    error text,
    is_public boolean,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz
);
CREATE INDEX executions_newest ON executions (workspace_id, updated_at DESC, id);
CREATE INDEX executions_session ON executions (chatflow_id, session_id, created_at DESC);
CREATE INDEX executions_chat ON executions (chatflow_id, chat_id);
CREATE INDEX executions_lease ON executions (lease_until) WHERE state = 'INPROGRESS';

CREATE INDEX chat_messages_execution ON chat_messages (execution_id) WHERE execution_id IS NOT NULL;

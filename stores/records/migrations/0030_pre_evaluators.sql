-- What judges answers: a rule by its type, the rule's fields in `config`.

CREATE TABLE evaluators (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    type text NOT NULL,                   -- text, json, numeric, llm
    config jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX evaluators_workspace ON evaluators (workspace_id, updated_at DESC);

-- Tools that agents can call and variables that flows find as `$vars`, as workspaces keep them.

CREATE TABLE tools (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    description text NOT NULL,
    color text NOT NULL,
    icon_src text,
    schema text,                          -- JSON as it came, sealed: it may hold a secret
    func text,                            -- JavaScript, sealed for the same reason
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tools_workspace ON tools (workspace_id, updated_at DESC);

CREATE TABLE variables (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    value text,                           -- sealed
    type text NOT NULL,                   -- static, runtime
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX variables_workspace ON variables (workspace_id, name);

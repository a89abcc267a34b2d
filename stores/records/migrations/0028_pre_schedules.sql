-- Agentflows that start by a clock, and what became of each time.

CREATE TABLE flow_schedules (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL UNIQUE REFERENCES chatflows ON DELETE CASCADE,
    node_id text NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    input_mode text NOT NULL,             -- text, form, none
    input text NOT NULL DEFAULT '',
    form jsonb,
    enabled boolean NOT NULL,
    end_at timestamptz,                   -- no run from then on
    last_run_at timestamptz,
    next_run_at timestamptz,              -- of one that is enabled
    queued_at timestamptz,
    run_id uuid,                          -- the newest run's row in flow_schedule_runs
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX flow_schedules_due ON flow_schedules (next_run_at) WHERE enabled;

CREATE TABLE flow_schedule_runs (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    schedule_id uuid NOT NULL,            -- no reference: what ran stays when the schedule is taken away
    execution_id uuid,
    status text NOT NULL,                 -- QUEUED, RUNNING, SUCCEEDED, FAILED, SKIPPED
    error text,
    elapsed_ms int,
    scheduled_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX flow_schedule_runs_flow ON flow_schedule_runs (chatflow_id, scheduled_at DESC, id);
CREATE INDEX flow_schedule_runs_age ON flow_schedule_runs (created_at);

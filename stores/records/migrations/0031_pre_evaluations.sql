-- Datasets put to flows and document stores, and what came of it.

CREATE TABLE evaluations (
    id uuid PRIMARY KEY,
    ordinal bigint GENERATED ALWAYS AS IDENTITY,  -- versions of one name are counted in this order
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    type text NOT NULL,                   -- benchmarking, llm
    dataset_id uuid NOT NULL,             -- the dataset may go, and its flows and document stores too
    dataset_name text NOT NULL,
    dataset_updated_at timestamptz NOT NULL,
    plan jsonb NOT NULL,                  -- targets, measures, judge (sealed), repeats and the like
    row_count int NOT NULL,
    total int NOT NULL,                   -- cases: rows x targets x repeats
    done int NOT NULL DEFAULT 0,          -- kept with every result
    failed int NOT NULL DEFAULT 0,
    job_id uuid REFERENCES jobs ON DELETE SET NULL,
    outcome text,                         -- completed, failed, cancelled; null: it is open, its job says how
    error jsonb,
    summary jsonb,                        -- what its scores say, once it has ended and somebody asked
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX evaluations_names ON evaluations (workspace_id, name, ordinal);
CREATE INDEX evaluations_job ON evaluations (job_id);

CREATE TABLE evaluation_rows (             -- of the dataset, as they were when the evaluation was made
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    evaluation_id uuid NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    place int NOT NULL,                   -- from 0, without gaps
    row_id uuid NOT NULL,
    input text NOT NULL,
    output text NOT NULL,
    sources jsonb NOT NULL,
    metadata jsonb NOT NULL,
    UNIQUE (evaluation_id, place)
);

CREATE TABLE evaluation_results (          -- a row for each case that has been finished
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    evaluation_id uuid NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    place int NOT NULL,
    target smallint NOT NULL,             -- its place in the plan, from 0
    repeat smallint NOT NULL,
    answer text,
    found jsonb,
    taken jsonb NOT NULL,
    latency float8,                       -- of `taken`, to sort by
    details jsonb NOT NULL,
    scores jsonb NOT NULL,                -- by label: {"value": 0.5}, {"notApplicable": "..."} or {"error": "..."}
    score_details jsonb NOT NULL,         -- by label
    error text NOT NULL,                  -- empty: the case was answered
    broken boolean NOT NULL,              -- it failed, or one of its scores is an error
    attempts jsonb NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (evaluation_id, place, target, repeat)
);
CREATE INDEX evaluation_results_target ON evaluation_results (evaluation_id, target, place, repeat);
CREATE INDEX evaluation_results_broken ON evaluation_results (evaluation_id, place) WHERE broken;

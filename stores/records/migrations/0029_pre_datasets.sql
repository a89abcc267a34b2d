-- Questions with the answers and sources that are expected of flows.

CREATE TABLE datasets (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    description text NOT NULL,
    row_count int NOT NULL DEFAULT 0,     -- kept with every change of the rows, under the lock of this row
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()  -- of the dataset and all of its rows
);
CREATE INDEX datasets_workspace ON datasets (workspace_id, updated_at DESC);

CREATE TABLE dataset_rows (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    sequence_no bigint NOT NULL,          -- from 0 in each dataset
    ordinal bigint GENERATED ALWAYS AS IDENTITY,  -- decides between rows of one number: the older first
    input text NOT NULL,
    output text NOT NULL,
    sources jsonb NOT NULL DEFAULT '[]',  -- what must be found: [{"chunkId": "..."}, {"quote": "..."}, ...]
    metadata jsonb NOT NULL DEFAULT '{}',
    draft boolean NOT NULL DEFAULT false,
    origin text,                          -- message:ID or chunk:ID, once a dataset
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dataset_rows_order ON dataset_rows (dataset_id, sequence_no, ordinal);
CREATE UNIQUE INDEX dataset_rows_origin ON dataset_rows (dataset_id, origin) WHERE origin IS NOT NULL;

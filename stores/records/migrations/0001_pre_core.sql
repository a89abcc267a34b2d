-- The core: workspaces own everything; documents and chunks are the ledger that vectors are derived from.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO workspaces (id, name) VALUES ('00000000-0000-4000-8000-000000000001', 'default');

-- Facts about this database that a process checks when it opens it (such as the fingerprint of the secret key).
CREATE TABLE instance_facts (
    name text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,           -- sha256 of a 256-bit random key; the key itself is never stored
    hint text NOT NULL,                   -- last four characters, to tell keys apart in a list
    scopes text[] NOT NULL,               -- '*' or names such as documentStores:view
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id, created_at);

CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    credential_name text NOT NULL,        -- the component: openAIApi, ...
    key_version int NOT NULL,
    sealed bytea NOT NULL,                -- AES-256-GCM: nonce, ciphertext, tag; the id is bound as associated data
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX credentials_workspace ON credentials (workspace_id, credential_name);

CREATE TABLE document_stores (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    description text,
    embedding_config jsonb,               -- {name, config}; null: the service's default
    vector_store_config jsonb,
    record_manager_config jsonb,
    fingerprint jsonb,                    -- of the embedder, set with the first vector
    collection text,                      -- the vector collection that queries use
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz                -- set: gone for every caller, a purge job is under way
);
CREATE INDEX document_stores_workspace ON document_stores (workspace_id, updated_at DESC);

CREATE TABLE loaders (
    id uuid PRIMARY KEY,                  -- docId on the wire
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    store_id uuid NOT NULL REFERENCES document_stores ON DELETE CASCADE,
    loader_id text NOT NULL,              -- component name: pdfFile, plainText, ...
    loader_name text NOT NULL,            -- what people call it
    loader_config jsonb NOT NULL DEFAULT '{}',
    splitter_id text,
    splitter_name text,
    splitter_config jsonb,
    credential text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX loaders_store ON loaders (store_id, created_at);

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    kind text NOT NULL,
    store_id uuid REFERENCES document_stores ON DELETE SET NULL,
    state text NOT NULL DEFAULT 'queued', -- queued, running, done, failed, cancelled
    stage text NOT NULL DEFAULT 'queued',
    done int NOT NULL DEFAULT 0,
    total int,
    result jsonb,
    error jsonb,                          -- {status, code, message}
    payload jsonb NOT NULL DEFAULT '{}',
    attempts int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX jobs_workspace ON jobs (workspace_id, created_at DESC);
CREATE INDEX jobs_open ON jobs (store_id) WHERE state IN ('queued', 'running');

CREATE TABLE documents (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    store_id uuid NOT NULL REFERENCES document_stores ON DELETE CASCADE,
    loader_id uuid NOT NULL REFERENCES loaders ON DELETE CASCADE,
    job_id uuid REFERENCES jobs ON DELETE SET NULL,   -- the job that writes it now, or wrote it last
    source text NOT NULL,                 -- stable id of where it came from: file:handbook.md
    name text NOT NULL,                   -- as the user named it
    mime text,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,                -- of the bytes waiting in blob
    blob text NOT NULL,
    recipe jsonb NOT NULL,                -- loader, splitter, their options, extra metadata
    state text NOT NULL DEFAULT 'pending',-- pending, ready, failed
    digest bytea,                         -- sha256 over bytes and recipe that the live chunks were made from
    error_code text,
    error text,
    chunks int NOT NULL DEFAULT 0,
    characters bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (store_id, source)
);
CREATE INDEX documents_loader ON documents (loader_id);
CREATE INDEX documents_job ON documents (job_id);

CREATE TABLE chunks (
    id uuid NOT NULL,                     -- hash of document store, source, splitter fingerprint, text, occurrence
    workspace_id uuid NOT NULL,
    store_id uuid NOT NULL REFERENCES document_stores ON DELETE CASCADE,
    document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
    loader_id uuid NOT NULL,
    number int NOT NULL,                  -- of the chunk in the keyword index of its document store
    position int NOT NULL,                -- in its document, from 0
    text text NOT NULL,
    metadata jsonb NOT NULL,
    job_id uuid NOT NULL,                 -- the job that added it
    live boolean NOT NULL DEFAULT false,  -- becomes true with the commit that completes the document
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, id)
);
CREATE UNIQUE INDEX chunks_number ON chunks (store_id, number);
CREATE INDEX chunks_document ON chunks (document_id, position);
CREATE INDEX chunks_loader ON chunks (loader_id);
CREATE INDEX chunks_job ON chunks (job_id);

CREATE TABLE upsert_history (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL,            -- a chatflow or a document store, as on the wire
    result jsonb NOT NULL,
    flow_data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX upsert_history_flow ON upsert_history (chatflow_id, created_at);

CREATE TABLE chatflows (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    type text NOT NULL,
    flow_data text NOT NULL,              -- kept byte for byte
    deployed boolean,
    is_public boolean,
    api_key_id uuid,
    chatbot_config text,
    api_config text,
    analytic text,
    speech_to_text text,
    text_to_speech text,
    follow_up_prompts text,
    category text,
    mcp_server_config text,
    version int NOT NULL DEFAULT 1,       -- compiled flows are cached under (id, version)
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chatflows_workspace ON chatflows (workspace_id, updated_at DESC);

CREATE TABLE chat_messages (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    chatflow_id uuid NOT NULL REFERENCES chatflows ON DELETE CASCADE,
    caller text NOT NULL,                 -- 'public', or 'key:<id>': a session id alone opens no history
    session_id text NOT NULL,
    chat_id text NOT NULL,
    chat_type text NOT NULL,
    role text NOT NULL,                   -- userMessage, apiMessage
    content text NOT NULL,
    state text NOT NULL DEFAULT 'complete',  -- complete, aborted
    source_documents jsonb,
    used_tools jsonb,
    file_annotations jsonb,
    agent_reasoning jsonb,
    reason_content jsonb,
    file_uploads jsonb,
    artifacts jsonb,
    action jsonb,
    usage jsonb,
    memory_type text,
    lead_email text,
    follow_up_prompts text,
    execution_id uuid,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chat_messages_session ON chat_messages (chatflow_id, session_id, caller, sequence);
CREATE INDEX chat_messages_flow ON chat_messages (chatflow_id, created_at);

-- How often visitors call chatflows. Not logged: a crash of the database forgets the counts and nothing else.

CREATE UNLOGGED TABLE call_windows (
    chatflow_id uuid NOT NULL,            -- no reference: a flow that is deleted leaves rows that end by themselves
    client text NOT NULL,                 -- address, of IPv6 the network
    calls int NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (chatflow_id, client)
);
CREATE INDEX call_windows_end ON call_windows (ends_at);

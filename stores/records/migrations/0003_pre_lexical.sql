-- Keyword search: BM25 over posting lists, an index of its own for each document store.
-- Chunks are known by their number within the index; the ledger maps numbers to chunk ids.

CREATE TABLE lexical_indexes (
    store_id     uuid    PRIMARY KEY,
    documents    bigint  NOT NULL DEFAULT 0 CHECK (documents >= 0),     -- live ones
    total_length bigint  NOT NULL DEFAULT 0 CHECK (total_length >= 0),  -- words of the live ones
    next_number  integer NOT NULL DEFAULT 1,
    next_segment bigint  NOT NULL DEFAULT 1,
    languages    jsonb   NOT NULL DEFAULT '{}',                         -- language code to live documents
    removed      bytea   NOT NULL DEFAULT ''                            -- numbers that segments still hold, big-endian int32
);

-- One immutable segment a committed batch; compaction merges neighbours.
CREATE TABLE lexical_segments (
    store_id  uuid    NOT NULL REFERENCES lexical_indexes ON DELETE CASCADE,
    segment   bigint  NOT NULL,
    documents integer NOT NULL,
    PRIMARY KEY (store_id, segment)
);

CREATE TABLE lexical_documents (
    store_id uuid    NOT NULL REFERENCES lexical_indexes ON DELETE CASCADE,
    number   integer NOT NULL,
    length   integer NOT NULL,
    language text    NOT NULL,
    PRIMARY KEY (store_id, number)
);

-- No foreign key here: it would cost a look-up for each of the many rows.
CREATE TABLE lexical_postings (
    store_id uuid   NOT NULL,
    term     text   COLLATE "C" NOT NULL,
    segment  bigint NOT NULL,
    postings bytea  NOT NULL,  -- records of 8 bytes: number int32, occurrences uint16, length uint16, little-endian
    PRIMARY KEY (store_id, term, segment)
);

-- Postings hardly compress, and are read whole.
ALTER TABLE lexical_postings ALTER COLUMN postings SET STORAGE EXTERNAL;

-- A number for each state of a keyword index, by which processes know whether the posting lists that they remember still
-- hold. From a sequence, so that neither a change that is rolled back nor an index that begins anew gives one twice.

CREATE SEQUENCE lexical_versions;

ALTER TABLE lexical_indexes ADD COLUMN version bigint NOT NULL DEFAULT nextval('lexical_versions');

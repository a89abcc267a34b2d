-- A number for each state of a keyword index, by which processes know whether the posting lists that they remember still
-- hold. From a sequence, so that neither a change that is rolled back nor an index that begins anew gives one twice; by a
-- trigger, so that the code before this migration, which knows of no versions, gives them too.

CREATE SEQUENCE lexical_versions;

ALTER TABLE lexical_indexes ADD COLUMN version bigint NOT NULL DEFAULT nextval('lexical_versions');

CREATE FUNCTION new_lexical_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('lexical_versions');
    RETURN NEW;
END
$$;

CREATE TRIGGER lexical_version BEFORE UPDATE ON lexical_indexes
    FOR EACH ROW EXECUTE FUNCTION new_lexical_version();

-- How long the messages of a flow are kept: read out of its apiConfig, which is sealed, whenever that is written. Null:
-- as long as the service's settings say.
ALTER TABLE chatflows ADD COLUMN message_days double precision;

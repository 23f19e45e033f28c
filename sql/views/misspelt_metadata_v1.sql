CREATE OR REPLACE VIEW runledger.misspelt_metadata_v1 AS
SELECT g.id AS generation_id, g.run_id, g.request_timestamp, found.key, found.meant,
       g.application_id::text AS application_id
FROM runledger.generations AS g CROSS JOIN LATERAL runledger.misspelt_keys(g.metadata) AS found
WHERE g.request_timestamp > now() - interval '7 days';
COMMENT ON VIEW runledger.misspelt_metadata_v1 IS
    'Keys of metadata that look like a misspelling of one that means something here (gpuu, telegram_chat_id), in the generations that were asked for within the last seven days. The row is settled without what the key was meant to say. Computed when it is read.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.run_id IS 'The provider''s id of the run; NULL: the row has none, perhaps for this reason.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.request_timestamp IS 'When the application asked.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.key IS 'The key as the application writes it.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.meant IS 'The key that it looks like, and that is not there.';
COMMENT ON COLUMN runledger.misspelt_metadata_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key.';

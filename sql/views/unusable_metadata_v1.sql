CREATE OR REPLACE VIEW runledger.unusable_metadata_v1 AS
SELECT g.id AS generation_id, g.run_id, g.request_timestamp, found.key, found.column_name, found.reason,
       g.application_id::text AS application_id
FROM runledger.generations AS g CROSS JOIN LATERAL runledger.unusable_metadata(g.metadata) AS found
WHERE g.request_timestamp > now() - interval '7 days';
COMMENT ON VIEW runledger.unusable_metadata_v1 IS
    'Keys of metadata whose value no column can be taken from (a number as groupId, an id that is too long), in the generations that were asked for within the last seven days. The column is NULL, unless another key, or another chat of a list, gives it. The values are not shown; faults of costRate are in cost_note. Computed when it is read.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.run_id IS 'The provider''s id of the run; NULL: the row has none, perhaps for this reason.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.request_timestamp IS 'When the application asked.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.key IS 'The key; of a list of chats, with the place in it, as in telegramChatId[1]; empty: metadata as a whole.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.column_name IS
    'The column of generations that is taken from this key; NULL: all of them.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.reason IS 'What is wrong, a sentence for people.';
COMMENT ON COLUMN runledger.unusable_metadata_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key.';

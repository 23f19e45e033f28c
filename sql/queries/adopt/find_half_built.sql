-- The indexes of generations that an interrupted adoption left without a use.
SELECT indexrelid::regclass::text FROM pg_catalog.pg_index
WHERE indrelid = 'runledger.generations'::regclass AND NOT indisvalid

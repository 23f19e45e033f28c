-- application_id with the type of the application's own column: so a condition on it uses the index of that column.
CREATE OR REPLACE VIEW runledger.generation_keys_v1 AS
SELECT g.id AS generation_id, g.application_id, g.run_id
FROM runledger.generations AS g;
COMMENT ON VIEW runledger.generation_keys_v1 IS
    'Each generation by all names that it has. runledger.generations_by_key(key) looks one up by a text.';
COMMENT ON COLUMN runledger.generation_keys_v1.generation_id IS 'The ledger''s number of the row; without an application_id also the application''s key.';
COMMENT ON COLUMN runledger.generation_keys_v1.application_id IS
    'The application''s own key, with its type, if its table was adopted with a key that is no number; NULL: generation_id is its key.';
COMMENT ON COLUMN runledger.generation_keys_v1.run_id IS 'The provider''s id of its run; NULL: it names none.';

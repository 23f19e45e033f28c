-- For a table whose key is no number: what the ledger's own numbers need. Rows get theirs by keep_adopted_id.
CREATE SEQUENCE runledger.generations_ledger_id_seq;
ALTER SEQUENCE runledger.generations_ledger_id_seq OWNER TO runledger_owner;
ALTER SEQUENCE runledger.generations_ledger_id_seq OWNED BY runledger.generations.id;
ALTER TABLE runledger.generations ADD CONSTRAINT generations_id_is_set CHECK (id IS NOT NULL) NOT VALID

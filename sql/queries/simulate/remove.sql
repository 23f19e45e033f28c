-- $1 text[] runs, or NULL: all that were ever made up.
SELECT table_name, row_count FROM runledger.remove_simulated($1::text[]) WHERE row_count > 0

-- $1 text[] run. Returns those whose events can't be stored normally; no row for the others. Nobody is forgotten until
-- the transaction ends.
SELECT run_id, pseudonym, is_removed FROM runledger.late_events_of($1::text[])

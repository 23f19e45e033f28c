-- $1 text[] run. Those whose events can't be taken as they are; no row for the others. Nobody is forgotten until the
-- transaction ends.
SELECT run_id, pseudonym, is_removed FROM runledger.late_events_of($1::text[])

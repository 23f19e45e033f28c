-- $1 event type, $2 status word, $3 the run's pseudonym, $4 progress or NULL.
SELECT runledger.scrubbed_body($1, $2, $3, to_jsonb($4::double precision))

-- $1 bigint generation. Its runs: id, pseudonym, and the id as JSON may escape it. Locks the generation.
SELECT run_id, runledger.pseudonym_of(run_id), trim(BOTH '"' FROM to_json(run_id)::text)
FROM unnest(runledger.runs_to_forget($1::bigint)) AS named (run_id)

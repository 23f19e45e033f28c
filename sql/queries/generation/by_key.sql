-- $1 text. The generations of this key: the application's own first, then the ledger's number.
SELECT k.generation_id, k.application_id, coalesce(k.run_id, '') AS run_id, k.matches = 'application_id' AS is_by_application_id
FROM runledger.generations_by_key($1) AS k
ORDER BY k.matches

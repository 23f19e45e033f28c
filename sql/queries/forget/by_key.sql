-- $1 text. The generations of this key, by the application's own or the ledger's number.
SELECT k.generation_id, coalesce(k.application_id, '') AS application_id, k.matches = 'application_id' AS is_the_applications
FROM runledger.generations_by_key($1) AS k
ORDER BY k.matches

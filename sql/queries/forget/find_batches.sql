-- $1 text[] runs. Batches that were set aside as a whole and mention one of them.
SELECT id FROM runledger.quarantine
WHERE scope = 'batch' AND runledger.mentions_run(content, $1::text[])
ORDER BY id

-- For the scratch schema, whose name replaces `runledger.`; "runledger" in quotes is the ledger itself.
INSERT INTO runledger.provider_reports (
    run_id, fetched_at, digest, status, queued_at, started_at, ended_at, run_duration_s, progress, live_status, error,
    output_count, body)
SELECT p.run_id, p.fetched_at, p.digest, p.status, p.queued_at, p.started_at, p.ended_at, p.run_duration_s, p.progress,
       p.live_status, p.error, p.output_count, p.body
FROM "runledger".provider_reports AS p
JOIN runledger.runs AS r ON r.run_id = p.run_id

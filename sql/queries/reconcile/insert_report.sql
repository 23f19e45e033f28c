-- $1 run, $2 bigint digest, $3 status, $4 $5 $6 timestamptz queued, started, ended or NULL, $7 numeric seconds or NULL,
-- $8 double precision progress or NULL, $9 live status or NULL, $10 error or NULL, $11 integer outputs, $12 body.
-- Returns no row if the same answer is stored already.
INSERT INTO runledger.provider_reports (
    run_id, digest, status, queued_at, started_at, ended_at, run_duration_s, progress, live_status, error, output_count, body)
VALUES ($1, $2::bigint, $3, $4::timestamptz, $5::timestamptz, $6::timestamptz, $7::numeric, $8::double precision, $9, $10,
        $11::integer, $12)
ON CONFLICT ON CONSTRAINT provider_reports_are_kept_once DO NOTHING
RETURNING id

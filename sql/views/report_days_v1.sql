CREATE OR REPLACE VIEW runledger.report_days_v1 AS
WITH RECURSIVE zone AS MATERIALIZED (
    SELECT runledger.report_time_zone() AS name
), days AS (
    SELECT d.day, runledger.report_day_begins_at(d.day, zone.name) AS begins_at,
           runledger.report_day_begins_at(d.day + 1, zone.name) AS ends_at
    FROM zone
    CROSS JOIN LATERAL (
        SELECT (g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp >= '1970-01-01 00:00:00+00' AND g.response_timestamp < '10000-01-01 00:00:00+00'
        ORDER BY g.response_timestamp LIMIT 1) AS d
    UNION ALL
    SELECT d.day, runledger.report_day_begins_at(d.day, zone.name), runledger.report_day_begins_at(d.day + 1, zone.name)
    FROM days AS before
    CROSS JOIN zone
    CROSS JOIN LATERAL (
        SELECT (g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp >= before.ends_at AND g.response_timestamp < '10000-01-01 00:00:00+00'
        ORDER BY g.response_timestamp LIMIT 1) AS d
)
SELECT day, begins_at, ends_at FROM days;
COMMENT ON VIEW runledger.report_days_v1 IS
    'Each day, by report_time_zone, on which a generation ended, with its first instant and the next day''s. The views by day use it; a condition on day keeps them from reading other days.';
COMMENT ON COLUMN runledger.report_days_v1.day IS 'The day in the time zone runledger.report_time_zone().';
COMMENT ON COLUMN runledger.report_days_v1.begins_at IS 'Its first instant.';
COMMENT ON COLUMN runledger.report_days_v1.ends_at IS 'The next day''s first instant.';

-- Which day a moment belongs to, for the views that count by days: UTC's, unless the database says otherwise with
--     ALTER DATABASE … SET runledger.report_time_zone = 'Europe/Paris';
CREATE FUNCTION runledger.report_time_zone() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := coalesce(nullif(current_setting('runledger.report_time_zone', true), ''), 'UTC');
BEGIN
    -- PostgreSQL would take more: an abbreviation, which has no summer time, and whatever looks like a POSIX zone,
    -- where UTC+2 means two hours behind and a misspelt name with a digit in it is UTC. These ask for a day's sums
    -- that nobody meant.
    IF zone = 'UTC' THEN
        RETURN zone;
    END IF;
    IF zone ~ '^[A-Za-z_]+(/[A-Za-z_-]+)+$' THEN
        BEGIN
            PERFORM now() AT TIME ZONE zone;
            RETURN zone;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;  -- Said below.
        END;
    END IF;
    RAISE EXCEPTION 'runledger.report_time_zone is "%", which is no time zone by name', zone
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'UTC, or a name with a slash of those in pg_timezone_names: ALTER DATABASE … SET runledger.report_time_zone = ''Europe/Paris''.';
END
$$;
COMMENT ON FUNCTION runledger.report_time_zone() IS
    'The time zone whose days the views count by: the setting runledger.report_time_zone of the database, role or session; UTC where it is not set. Raises invalid_parameter_value where it is set to no zone''s name.';

CREATE FUNCTION runledger.report_day_begins_at(day date, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    -- Where clocks go back over midnight, 00:00 comes twice, and PostgreSQL means the second: the day begins at the
    -- first, which is midnight by the offset that was in force half a day before.
    RETURN (
        SELECT CASE WHEN (by_earlier_offset AT TIME ZONE zone)::date = day
                    THEN least(by_earlier_offset, midnight) ELSE midnight END
        FROM (SELECT day::timestamp AT TIME ZONE zone AS midnight) AS m
        CROSS JOIN LATERAL (
            SELECT (day::timestamp - (((midnight - interval '12 hours') AT TIME ZONE zone)
                                      - ((midnight - interval '12 hours') AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC'
                   AS by_earlier_offset) AS b);
COMMENT ON FUNCTION runledger.report_day_begins_at(date, text) IS
    'The first instant of a day in a time zone, also where clocks are changed at midnight.';

-- On a large table, built concurrently before this migration comes, it is taken as it is.
CREATE INDEX IF NOT EXISTS generations_costs_by_day_idx ON runledger.generations (response_timestamp)
    INCLUDE (id, status, telegram_chat_id, duration_ms, cost_usd) WHERE response_timestamp IS NOT NULL;
COMMENT ON INDEX runledger.generations_costs_by_day_idx IS
    'Costs of a period, read from the index alone: a month of ten million generations in a third of a second. No settlement''s update is HOT with it: docs/dba.md says what that costs.';

-- Steps from one day on which something ended to the next, by the index: years cost a few milliseconds.
CREATE VIEW runledger.report_days_v1 AS
WITH RECURSIVE zone AS MATERIALIZED (
    SELECT runledger.report_time_zone() AS name
), days AS (
    SELECT d.day, runledger.report_day_begins_at(d.day, zone.name) AS begins_at,
           runledger.report_day_begins_at(d.day + 1, zone.name) AS ends_at
    FROM zone
    CROSS JOIN LATERAL (
        SELECT (g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp > '-infinity' AND g.response_timestamp < 'infinity'
        ORDER BY g.response_timestamp LIMIT 1) AS d
    UNION ALL
    SELECT d.day, runledger.report_day_begins_at(d.day, zone.name), runledger.report_day_begins_at(d.day + 1, zone.name)
    FROM days AS before
    CROSS JOIN zone
    CROSS JOIN LATERAL (
        SELECT (g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp >= before.ends_at AND g.response_timestamp < 'infinity'
        ORDER BY g.response_timestamp LIMIT 1) AS d
)
SELECT day, begins_at, ends_at FROM days;
COMMENT ON VIEW runledger.report_days_v1 IS
    'Each day, by report_time_zone, on which a generation ended, with its two instants. The views by day are made of it; a condition on day keeps them from reading other days.';
COMMENT ON COLUMN runledger.report_days_v1.day IS 'The day, by the time zone that runledger.report_time_zone() tells.';
COMMENT ON COLUMN runledger.report_days_v1.begins_at IS 'Its first instant.';
COMMENT ON COLUMN runledger.report_days_v1.ends_at IS 'The next day''s first instant.';

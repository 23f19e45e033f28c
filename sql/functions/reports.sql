-- Settings of the views: the day that a moment belongs to, and how long a run may be silent.
CREATE OR REPLACE FUNCTION runledger.report_time_zone() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := coalesce(nullif(current_setting('runledger.report_time_zone', true), ''), 'UTC');
BEGIN
    -- PostgreSQL would accept more: abbreviations, which have no summer time, and anything that looks like a POSIX
    -- zone, in which UTC+2 means two hours behind and a misspelt name with a digit is UTC. The sums of such days would
    -- be wrong.
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
    'The time zone of the days in the views: the setting runledger.report_time_zone of the database, role or session; UTC if it is not set. Raises invalid_parameter_value if it is not the name of a time zone.';

CREATE OR REPLACE FUNCTION runledger.time_zone_of_the_database() RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := coalesce(
        (SELECT nullif(substr(said.setting, strpos(said.setting, '=') + 1), '')
         FROM pg_db_role_setting AS s
         JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
         CROSS JOIN unnest(s.setconfig) AS said (setting)
         WHERE s.setrole = 0 AND starts_with(said.setting, 'runledger.report_time_zone=')), 'UTC');
BEGIN
    -- A session, a role and the cluster may have their own days; a month that is closed has one end for everybody.
    IF runledger.report_time_zone() <> zone THEN
        RAISE EXCEPTION 'runledger.report_time_zone is "%" here, and "%" in the database', runledger.report_time_zone(), zone
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Months are closed by the database''s own setting: leave it out of the session, the role and postgresql.conf, or ALTER DATABASE … SET runledger.report_time_zone.';
    END IF;
    RETURN zone;
END
$$;
COMMENT ON FUNCTION runledger.time_zone_of_the_database() IS
    'The time zone by which months are closed: runledger.report_time_zone as ALTER DATABASE has set it; UTC if it has not. Raises object_not_in_prerequisite_state if the session has another one.';

CREATE OR REPLACE FUNCTION runledger.report_day_begins_at(day date, zone text) RETURNS timestamptz
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
    'The first instant of a day in a time zone, also if clocks are changed at midnight.';

CREATE OR REPLACE FUNCTION runledger.silence_limit(status text) RETURNS interval
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := 'runledger.silence_limit_' || replace(coalesce(status, 'unheard'), '-', '_');
    setting text := nullif(current_setting(name, true), '');
    silence interval;
BEGIN
    IF setting IS NOT NULL THEN
        BEGIN
            silence := setting::interval;
        EXCEPTION WHEN data_exception THEN
            silence := NULL;  -- Said below.
        END;
        IF silence IS NULL OR silence <= interval '0' THEN
            RAISE EXCEPTION '% is "%", which is no length of time', name, setting
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'ALTER DATABASE … SET ' || name || ' = ''30 minutes'', or RESET it.';
        END IF;
        RETURN silence;
    END IF;
    -- A cold start lasts seconds to minutes; between running and the ending a sender without intermediate status says
    -- nothing, however long the video.
    RETURN CASE status
        WHEN 'not-started' THEN interval '30 minutes'
        WHEN 'queued' THEN interval '30 minutes'
        WHEN 'started' THEN interval '15 minutes'
        WHEN 'running' THEN interval '1 hour'
        WHEN 'uploading' THEN interval '15 minutes'
        ELSE interval '1 hour'
    END;
END
$$;
COMMENT ON FUNCTION runledger.silence_limit(text) IS
    'How long a run of this status may be silent before stuck_runs_v1 lists it; for NULL: a generation without any event of its run. Each can be set, ALTER DATABASE … SET runledger.silence_limit_running = ''3 hours'', with _not_started, _queued, _started, _uploading, _unknown, _unheard likewise. Raises invalid_parameter_value if that is not a length of time.';

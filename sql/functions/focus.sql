-- What focus_costs_v1 says that no row does: names, and which keys of metadata are tags.
CREATE OR REPLACE FUNCTION runledger.focus_setting(name text, absent text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(btrim(current_setting('runledger.focus_' || name, true)), ''), absent);
COMMENT ON FUNCTION runledger.focus_setting(text, text) IS
    'The setting runledger.focus_<name> of the database, role or session, without blanks around it; absent if it is not set or blank. ALTER DATABASE … SET runledger.focus_billing_account_id = ''studio-1''.';

CREATE OR REPLACE FUNCTION runledger.focus_tags(metadata jsonb, keys text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT jsonb_object_agg(asked.key, runledger.said_in(metadata) -> asked.key)
        FROM unnest(keys) AS asked (key)
        WHERE jsonb_typeof(runledger.said_in(metadata) -> asked.key) IN ('string', 'number', 'boolean'));
COMMENT ON FUNCTION runledger.focus_tags(jsonb, text[]) IS
    'Those of the keys of metadata whose value is a string, a number or a boolean, as one JSON object; NULL: none is. FOCUS allows no nested values.';

CREATE OR REPLACE FUNCTION runledger.month_begins_at(month date, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN runledger.report_day_begins_at(date_trunc('month', month::timestamp)::date, zone);
COMMENT ON FUNCTION runledger.month_begins_at(date, text) IS
    'The first instant of the month that the day is in, in a time zone.';

-- Writes webhooks to the outbox.
CREATE OR REPLACE FUNCTION runledger.utc_text(p_at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(runledger.usual_time(p_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
COMMENT ON FUNCTION runledger.utc_text(timestamptz) IS
    'RFC 3339 in UTC, with microseconds, whatever TimeZone is; NULL for a time before 1970 or after 9999, which is nobody''s clock.';

CREATE OR REPLACE FUNCTION runledger.https_host_of(p_url text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- As find_https_host() of the daemon, which judges the URL again before it connects: no user, no port but 443, and
    -- a name whose last label does not begin with a digit. Nor a blank or a control character, which libcurl refuses.
    RETURN CASE WHEN p_url COLLATE "C" !~ '[[:cntrl:][:space:]]' THEN lower((regexp_match(
        p_url, '^https://((?:[a-z0-9.-]*[.])?[a-z-][a-z0-9-]*)(?::443)?(?:[/?#]|$)', 'i'))[1]) END;
COMMENT ON FUNCTION runledger.https_host_of(text) IS
    'The host of an https URL, in lower case; NULL for any other URL, for one with a user, another port, a blank or a control character, and if the host is an address. Never raises.';

CREATE OR REPLACE FUNCTION runledger.has_host_suffix(p_host text, p_suffixes text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce((SELECT bool_or(p_host = suffix OR right(p_host, length(suffix) + 1) = '.' || suffix)
                     FROM unnest(p_suffixes) AS suffix), false);
COMMENT ON FUNCTION runledger.has_host_suffix(text, text[]) IS
    'Whether the host is one of the suffixes, or ends in a dot and one of them.';

CREATE OR REPLACE FUNCTION runledger.webhook_metadata(p_metadata jsonb, p_keys text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen jsonb := runledger.said_in(p_metadata);
BEGIN
    IF cardinality(p_keys) = 0 OR jsonb_typeof(chosen) <> 'object' THEN
        RETURN NULL;
    END IF;
    IF NOT '*' = ANY (p_keys) THEN
        SELECT jsonb_object_agg(key, value) INTO chosen FROM jsonb_each(chosen) WHERE key = ANY (p_keys);
    END IF;
    -- The rest of a payload is bounded by itself.
    RETURN CASE WHEN octet_length(chosen::text) <= 65536 THEN chosen END;
END
$$;
COMMENT ON FUNCTION runledger.webhook_metadata(jsonb, text[]) IS
    'Those keys of metadata that a webhook has; NULL if none is asked for, none is there, or they have more than 64 KiB together.';

CREATE OR REPLACE FUNCTION runledger.webhook_payload(
    s runledger.settlements, g runledger.generations, p_metadata_keys text[]) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'type', CASE s.outcome WHEN 'reopened' THEN 'generation.reopened' ELSE 'generation.settled' END,
        'version', 1,
        'timestamp', runledger.utc_text(s.settled_at),
        'data', jsonb_build_object(
            'settlement', s.id,
            'outcome', s.outcome,
            'why', s.why,
            'generation_id', runledger.handle_of(g.id, g.application_id::text),
            'run_id', s.run_id,
            'status', s.status,
            'status_reason', s.status_reason,
            'duration_ms', round(s.duration_us / 1000.0, 3)::text,
            'duration_clock', s.duration_clock,
            'cost', s.cost_usd::text,
            'currency', 'USD',
            'cost_note', s.cost_note,
            'rate', CASE WHEN s.rate_amount IS NOT NULL THEN jsonb_build_object(
                'amount', s.rate_amount::text, 'unit', s.rate_unit, 'source', s.rate_source) END,
            'gpu', s.gpu,
            'requested_at', runledger.utc_text(g.request_timestamp),
            'running_at', runledger.utc_text(s.running_at),
            'finished_at', runledger.utc_text(s.finished_at),
            'settled_at', runledger.utc_text(s.settled_at),
            'output_count', s.output_count,
            'metadata', runledger.webhook_metadata(g.metadata, p_metadata_keys)));
COMMENT ON FUNCTION runledger.webhook_payload(runledger.settlements, runledger.generations, text[]) IS
    'The body of the webhook about a settlement (docs/webhooks.md). Numbers that have to stay exact are strings.';

CREATE OR REPLACE FUNCTION runledger.webhook_progress(
    r runledger.runs, g runledger.generations, p_metadata_keys text[]) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'type', 'generation.progress',
        'version', 1,
        'timestamp', runledger.utc_text(r.latest_at),
        'data', jsonb_build_object(
            'generation_id', runledger.handle_of(g.id, g.application_id::text),
            'run_id', r.run_id,
            'status', g.status,
            'progress', CASE WHEN r.latest_progress BETWEEN 0 AND 1 THEN round(r.latest_progress::numeric, 4) END,
            'live_status', r.latest_live_status,
            'running_at', runledger.utc_text(r.running_at),
            'at', runledger.utc_text(r.latest_at),
            'metadata', runledger.webhook_metadata(g.metadata, p_metadata_keys)));
COMMENT ON FUNCTION runledger.webhook_progress(runledger.runs, runledger.generations, text[]) IS
    'The body of the webhook about a run''s progress (docs/webhooks.md).';

CREATE OR REPLACE FUNCTION runledger.webhook_url_named(p_metadata jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN nullif(runledger.said_in(p_metadata) -> 'webhookUrl', 'null');
COMMENT ON FUNCTION runledger.webhook_url_named(jsonb) IS
    'metadata.webhookUrl, of whatever type; NULL: there is none, or it is null. Never raises.';

CREATE OR REPLACE FUNCTION runledger.webhook_place(p_named jsonb, asked runledger.webhook_settings)
    RETURNS TABLE (host text, url text, fault text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(runledger.https_host_of(left(named.url, 2000)), 'metadata.webhookUrl'),
           CASE WHEN octet_length(named.url) <= 2000 THEN named.url END,
           CASE WHEN named.url IS NULL THEN 'metadata.webhookUrl is no string'
                WHEN octet_length(named.url) > 2000 THEN 'metadata.webhookUrl has more than 2000 bytes'
                WHEN NOT runledger.has_host_suffix(runledger.https_host_of(named.url), asked.host_suffixes)
                    THEN 'metadata.webhookUrl names no https host of [webhooks] host_suffixes' END
    FROM (SELECT CASE jsonb_typeof(p_named) WHEN 'string' THEN p_named #>> '{}' END AS url) AS named;
END;
COMMENT ON FUNCTION runledger.webhook_place(jsonb, runledger.webhook_settings) IS
    'Where this metadata.webhookUrl leads. url: NULL if it is no string or too long, and host is then another than [webhooks] url. fault: why no webhook is sent there; NULL: it is. Never raises.';

CREATE OR REPLACE FUNCTION runledger.webhook_places(g runledger.generations, asked runledger.webhook_settings)
    RETURNS TABLE (host text, url text, suffix text, fault text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT '[webhooks] url', NULL, '', NULL WHERE asked.to_url
    UNION ALL
    SELECT place.host, place.url, ' to metadata.webhookUrl', place.fault
    FROM (SELECT runledger.webhook_url_named(g.metadata) AS value) AS named
    CROSS JOIN LATERAL runledger.webhook_place(named.value, asked) AS place
    WHERE named.value IS NOT NULL;
END;
COMMENT ON FUNCTION runledger.webhook_places(runledger.generations, runledger.webhook_settings) IS
    'Where the webhooks about a generation go: to [webhooks] url (url is NULL) and to metadata.webhookUrl. fault: why one is not sent; NULL: it is. Never raises.';

CREATE OR REPLACE FUNCTION runledger.webhook_places_of_group(p_group_key text, asked runledger.webhook_settings)
    RETURNS TABLE (host text, url text, suffix text, fault text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT '[webhooks] url', NULL, '', NULL WHERE asked.to_url
    UNION ALL
    SELECT place.host, place.url, ' to metadata.webhookUrl of generation ' || named.first_id,
           CASE WHEN named.turn <= 20 THEN place.fault
                ELSE 'the members of the group name more than 20 metadata.webhookUrl' END
    FROM (SELECT each.value, each.first_id, row_number() OVER (ORDER BY each.first_id) AS turn
          FROM (SELECT runledger.webhook_url_named(g.metadata) AS value, min(g.id) AS first_id
                FROM runledger.generations AS g WHERE g.group_key = p_group_key
                GROUP BY 1) AS each
          WHERE each.value IS NOT NULL
          -- One row says of all further ones that they get none.
          ORDER BY each.first_id LIMIT 21) AS named
    CROSS JOIN LATERAL runledger.webhook_place(named.value, asked) AS place;
END;
COMMENT ON FUNCTION runledger.webhook_places_of_group(text, runledger.webhook_settings) IS
    'Where the webhook about a group''s end goes: to [webhooks] url (url is NULL) and to each metadata.webhookUrl that its members name, at most 20. fault: why one is not sent; NULL: it is. Never raises.';

CREATE OR REPLACE FUNCTION runledger.queue_webhooks(p_settlement_ids bigint[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked runledger.webhook_settings;
BEGIN
    SELECT * INTO asked FROM runledger.webhook_settings;
    IF NOT FOUND OR NOT 'settled' = ANY (asked.events) THEN
        RETURN;
    END IF;
    -- Progress that waits would come after the ending. What is on its way is waited for.
    IF 'progress' = ANY (asked.events) THEN
        UPDATE runledger.notifications AS n SET state = 'skipped', last_error = 'the run has ended'
        FROM (SELECT p.id FROM runledger.each_of(p_settlement_ids) AS written (id)
              JOIN runledger.settlements AS s ON s.id = written.id
              JOIN runledger.notifications AS p ON p.run_id = s.run_id
              WHERE p.state = 'pending' AND p.channel = 'webhook' AND p.kind = 'progress'
              FOR UPDATE OF p SKIP LOCKED) AS late
        WHERE n.id = late.id;
    END IF;
    -- In the order of the settlements: a webhook waits for those about its run, and its generation, with lower ids.
    INSERT INTO runledger.notifications (
        generation_id, run_id, kind, for_status, channel, webhook_id, webhook_host, webhook_url, payload, state,
        last_error, group_key)
    SELECT s.generation_id, s.run_id, 'settlement', s.id || place.suffix, 'webhook',
           'msg_' || replace(gen_random_uuid()::text, '-', ''), place.host, place.url,
           runledger.webhook_payload(s, g, asked.metadata_keys),
           CASE WHEN place.fault IS NULL THEN 'pending' ELSE 'skipped' END, place.fault, g.group_key
    FROM runledger.each_of(p_settlement_ids) AS written (id)
    JOIN runledger.settlements AS s ON s.id = written.id
    JOIN runledger.generations AS g ON g.id = s.generation_id
    CROSS JOIN LATERAL runledger.webhook_places(g, asked) AS place
    ORDER BY s.id;
    IF FOUND THEN
        PERFORM runledger.wake_outbox();
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.queue_webhooks(bigint[]) IS
    'Writes the webhooks about these settlements to the outbox; nothing while webhooks are off. Called by write_settlements, in the settlement''s transaction.';

CREATE OR REPLACE FUNCTION runledger.queue_group_webhooks(p_group_key text, p_ending bigint, p_ended_at timestamptz, p_sums jsonb)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked runledger.webhook_settings;
BEGIN
    SELECT * INTO asked FROM runledger.webhook_settings;
    IF NOT FOUND OR NOT 'group' = ANY (asked.events) THEN
        RETURN;
    END IF;
    -- Behind the webhooks of the settlements that have ended the group: they are committed, so have lower ids.
    INSERT INTO runledger.notifications (
        group_key, kind, for_status, channel, webhook_id, webhook_host, webhook_url, payload, state, last_error)
    SELECT p_group_key, 'group', p_ending || place.suffix, 'webhook',
           'msg_' || replace(gen_random_uuid()::text, '-', ''), place.host, place.url,
           jsonb_build_object(
               'type', 'group.ended',
               'version', 1,
               'timestamp', runledger.utc_text(p_ended_at),
               'data', jsonb_build_object('ending', p_ending, 'group_id', p_group_key) || p_sums),
           CASE WHEN place.fault IS NULL THEN 'pending' ELSE 'skipped' END, place.fault
    FROM runledger.webhook_places_of_group(p_group_key, asked) AS place;
    IF FOUND THEN
        PERFORM runledger.wake_outbox();
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.queue_group_webhooks(text, bigint, timestamptz, jsonb) IS
    'Writes the webhooks about a group''s end to the outbox; nothing unless [webhooks] events asks for them. Called by tell_groups, in the transaction that notes the end.';

-- Removes a person's data from every table. Sums, times and statuses that finance and the audit need stay under a
-- pseudonym: the run's id is replaced by a digest, which can't be traced back.
CREATE OR REPLACE FUNCTION runledger.pseudonym_of(run_id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'forgotten-' || encode(sha256(convert_to(run_id, 'UTF8')), 'hex');
COMMENT ON FUNCTION runledger.pseudonym_of(text) IS
    'The pseudonym that replaces a forgotten run''s id: forgotten- and the SHA-256 of the id.';

CREATE OR REPLACE FUNCTION runledger.is_pseudonym(run_id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN run_id ~ '^forgotten-[0-9a-f]{64}$';
COMMENT ON FUNCTION runledger.is_pseudonym(text) IS 'Whether this is what replaces a forgotten run''s id.';

CREATE OR REPLACE FUNCTION runledger.scrubbed_body(event_type text, status text, run_id text, progress jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN json_build_object('event_type', event_type, 'status', status, 'live_status', NULL, 'progress', progress,
                             'run_id', run_id, 'outputs', json_build_array())::text;
COMMENT ON FUNCTION runledger.scrubbed_body(text, text, text, jsonb) IS
    'The body of an event of a forgotten run: only the values that timing and cost depend on.';

CREATE OR REPLACE FUNCTION runledger.scrubbed_metadata(metadata jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_strip_nulls(jsonb_build_object(
        coalesce((runledger.metadata_keys('tool_key'))[1], 'tool'),
        CASE WHEN octet_length(runledger.tool_key_of(metadata)) <= 64 THEN runledger.tool_key_of(metadata) END)
        || jsonb_build_object(
        'run_id', runledger.pseudonym_of(runledger.run_id_of(metadata)),
        'gpu', CASE WHEN jsonb_typeof(runledger.said_in(metadata) -> 'gpu') = 'string' AND octet_length(runledger.said_in(metadata) ->> 'gpu') <= 64
                    THEN runledger.said_in(metadata) -> 'gpu' END,
        'costRate', CASE
            WHEN jsonb_typeof(runledger.said_in(metadata) -> 'costRate') = 'object' THEN jsonb_build_object(
                'amount', CASE WHEN runledger.is_amount(runledger.said_in(metadata) -> 'costRate' ->> 'amount')
                               THEN runledger.said_in(metadata) -> 'costRate' -> 'amount' ELSE '"forgotten"' END,
                'currency', CASE WHEN octet_length(runledger.said_in(metadata) -> 'costRate' ->> 'currency') <= 8
                                 THEN runledger.said_in(metadata) -> 'costRate' -> 'currency' ELSE '"forgotten"' END,
                'unit', CASE WHEN octet_length(runledger.said_in(metadata) -> 'costRate' ->> 'unit') <= 16
                             THEN runledger.said_in(metadata) -> 'costRate' -> 'unit' ELSE '"forgotten"' END)
            WHEN jsonb_typeof(runledger.said_in(metadata) -> 'costRate') <> 'null' THEN '"forgotten"' END,
        'tokenCount', CASE
            WHEN runledger.token_count_of(metadata) IS NOT NULL THEN runledger.said_in(metadata) -> 'tokenCount'
            WHEN jsonb_typeof(runledger.said_in(metadata) -> 'tokenCount') <> 'null' THEN '"forgotten"' END));
COMMENT ON FUNCTION runledger.scrubbed_metadata(jsonb) IS
    'The metadata that a forgotten generation keeps: the run''s pseudonym, the rate with its count of tokens, the GPU and the tool. It leaves its group and its account.';

CREATE OR REPLACE FUNCTION runledger.no_outputs() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{"outputs": []}'::jsonb;
COMMENT ON FUNCTION runledger.no_outputs() IS 'The response_payload of a forgotten generation.';

CREATE OR REPLACE FUNCTION runledger.is_forgotten(run_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM runledger.forgotten_runs AS f
                   WHERE f.run_digest = sha256(convert_to(is_forgotten.run_id, 'UTF8')));
END
$$;
COMMENT ON FUNCTION runledger.is_forgotten(text) IS 'Whether a person was forgotten with the run of this id.';

CREATE OR REPLACE FUNCTION runledger.scrub_generation(p_id bigint, p_has_result boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE runledger.generations AS g SET
        metadata = CASE
            WHEN runledger.is_pseudonym(g.metadata ->> 'run_id') THEN g.metadata
            -- A run is one row's, and so is its pseudonym: a second row of the run names none.
            WHEN EXISTS (SELECT FROM runledger.generations AS other WHERE other.run_id = runledger.pseudonym_of(g.run_id))
                THEN runledger.scrubbed_metadata(g.metadata) - 'run_id'
            ELSE runledger.scrubbed_metadata(g.metadata) END,
        request_payload = NULL,
        response_payload = CASE WHEN p_has_result AND g.response_payload IS NOT NULL THEN runledger.no_outputs()
                                ELSE g.response_payload END,
        status_reason = CASE WHEN p_has_result AND g.status_reason IS NOT NULL THEN 'forgotten' ELSE g.status_reason END,
        updated_at = runledger.later_than(g.updated_at)  -- Copies of the row are found by this.
    WHERE g.id = p_id;
END
$$;
COMMENT ON FUNCTION runledger.scrub_generation(bigint, boolean) IS
    'Removes the personal data from a row of generations: when its person is forgotten, and when the application then writes the forgotten run into a row. p_has_result: also from its result, which an UPDATE by the application does not write.';

CREATE OR REPLACE FUNCTION runledger.scrub_if_forgotten(p_run_id text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF runledger.is_forgotten(p_run_id) THEN
        PERFORM runledger.scrub_generation(g.id, true) FROM runledger.generations AS g WHERE g.run_id = p_run_id;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.scrub_if_forgotten(text) IS
    'Scrubs the generation that names a forgotten run: the trigger does not, in a transaction of the application whose snapshot is from before the run was forgotten. Called by settle for each run that it knows nothing of. With its owner''s rights, for the daemon.';

CREATE OR REPLACE FUNCTION runledger.late_events_of(
    p_run_ids text[], OUT run_id text, OUT pseudonym text, OUT is_removed boolean)
    RETURNS SETOF record LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Forgetting takes this lock exclusively: until this transaction has ended nobody is forgotten, and the next
    -- statement sees everybody who was.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('runledger.forget', 0));
    RETURN QUERY
        SELECT incoming.id, named.pseudonym, gone.is_removed
        FROM unnest(p_run_ids) AS incoming (id)
        LEFT JOIN LATERAL (
            SELECT runledger.pseudonym_of(incoming.id) FROM runledger.forgotten_runs AS f
            WHERE f.run_digest = sha256(convert_to(incoming.id, 'UTF8')) LIMIT 1) AS named (pseudonym) ON true
        CROSS JOIN LATERAL (
            SELECT (SELECT true FROM runledger.runs AS r
                    WHERE r.run_id = coalesce(named.pseudonym, incoming.id) LIMIT 1) IS NULL
                   AND (SELECT true FROM runledger.settlements AS s
                        WHERE s.run_id = coalesce(named.pseudonym, incoming.id) LIMIT 1) IS NOT NULL
            ) AS gone (is_removed)
        WHERE named.pseudonym IS NOT NULL OR gone.is_removed;
END
$$;
COMMENT ON FUNCTION runledger.late_events_of(text[]) IS
    'Those of the runs whose events come too late to be stored normally. pseudonym: the run was forgotten. is_removed: the run was settled, and retention has removed it. Called by apply; `runledger forget` waits until apply''s transaction ends.';

CREATE OR REPLACE FUNCTION runledger.wait_for_calls() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The daemon enters a run here, in short transactions of its own, before it calls Telegram or the provider, or tells
    -- the application. What it
    -- enters unseen by this transaction would stay. So it waits, and then finds nobody to enter. Not settle_queue: the
    -- application's transactions write that, and nobody may wait for those; settle empties it anyway. Nor
    -- telegram_chats: it is written by transactions that have the message's row, for which forgetting waits.
    LOCK TABLE runledger.progress_messages, runledger.progress_news, runledger.reconcile_lookups IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION runledger.wait_for_calls() IS
    'Until the transaction ends, the daemon enters no run that it is about to call for. Called by forget_generation and forget_chat, before they lock any row.';

CREATE OR REPLACE FUNCTION runledger.runs_to_forget(p_generation_id bigint) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g runledger.generations;
BEGIN
    -- From here on no apply transaction is running, no provider's report is being stored, and the next ones see the
    -- entry in forgotten_runs.
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.forget', 0));
    PERFORM runledger.wait_for_calls();
    SELECT * INTO g FROM runledger.generations WHERE id = p_generation_id FOR NO KEY UPDATE;
    -- Its run, and those that it named before; but not one that another generation names now: that one is somebody
    -- else's.
    RETURN ARRAY(
        SELECT DISTINCT known.run_id FROM (
            SELECT g.run_id UNION ALL
            SELECT s.run_id FROM runledger.settlements AS s WHERE s.generation_id = g.id UNION ALL
            SELECT n.run_id FROM runledger.notifications AS n WHERE n.generation_id = g.id) AS known (run_id)
        WHERE known.run_id IS NOT NULL AND NOT runledger.is_pseudonym(known.run_id)
              AND NOT EXISTS (SELECT FROM runledger.generations AS other
                              WHERE other.run_id = known.run_id AND other.id <> g.id));
END
$$;
COMMENT ON FUNCTION runledger.runs_to_forget(bigint) IS
    'The runs that forgetting this generation is about. It locks the generation, and makes apply wait until the transaction ends. Called by `runledger forget`.';

CREATE OR REPLACE FUNCTION runledger.mentions_run(content bytea, run_ids text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN EXISTS (
        SELECT FROM unnest(run_ids) AS named (run_id)
        WHERE position(convert_to(named.run_id, 'UTF8') IN content) > 0
              OR position(convert_to(trim(BOTH '"' FROM to_json(named.run_id)::text), 'UTF8') IN content) > 0);
COMMENT ON FUNCTION runledger.mentions_run(bytea, text[]) IS
    'Whether one of the runs'' ids is in the bytes, in UTF-8 or as JSON may escape it.';

CREATE OR REPLACE FUNCTION runledger.forget_in_group(g runledger.generations) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted bigint;
BEGIN
    IF g.group_key IS NULL THEN
        RETURN 0;
    END IF;
    -- Tell has it while it writes what it has seen of the group: that is seen here, and the next look sees a group
    -- without this member.
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.group ' || g.group_key, 0));
    DELETE FROM runledger.notifications AS n
    WHERE n.kind = 'group' AND n.group_key = g.group_key
          AND (NOT EXISTS (SELECT FROM runledger.generations AS other WHERE other.group_key = g.group_key)
               OR n.webhook_url IS NOT NULL
                  AND NOT EXISTS (SELECT FROM runledger.generations AS other
                                  WHERE other.group_key = g.group_key
                                        AND left(runledger.webhook_url_named(other.metadata) #>> '{}', 2000) = n.webhook_url));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    UPDATE runledger.notifications AS n SET payload = jsonb_set(n.payload, '{data,account_id}', 'null')
    WHERE n.kind = 'group' AND n.group_key = g.group_key AND n.payload #>> '{data,account_id}' = g.account_key
          AND NOT EXISTS (SELECT FROM runledger.generations AS other
                          WHERE other.group_key = g.group_key AND other.account_key = g.account_key);
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION runledger.forget_in_group(runledger.generations) IS
    'Deletes the webhooks about the ends of the group that this generation has left, if it has no other member, and those to a URL that only this one named; the others keep the sums, and no account that only this one named. Returns how many it has deleted. Called by forget_generation.';

CREATE OR REPLACE FUNCTION runledger.forget_rows(
    p_id bigint, old_ids text[], OUT table_name text, OUT action text, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    g runledger.generations;
    holder record;
BEGIN
    SELECT * INTO g FROM runledger.generations WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO runledger.forgotten_runs (run_digest)
        SELECT sha256(convert_to(old_id, 'UTF8')) FROM unnest(old_ids) AS old_id
        ON CONFLICT DO NOTHING;

    table_name := 'generations';
    action := 'scrubbed';
    PERFORM runledger.scrub_generation(p_id, true);
    row_count := 1;
    RETURN NEXT;

    table_name := 'settlements';
    UPDATE runledger.settlements SET
        run_id = CASE WHEN run_id = ANY (old_ids) THEN runledger.pseudonym_of(run_id) ELSE run_id END,
        why = CASE outcome WHEN 'settled' THEN why WHEN 'resettled' THEN why ELSE 'forgotten' END,
        status_reason = CASE WHEN status_reason IS NOT NULL THEN 'forgotten' END,
        before = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(before)
                  WHERE key IN ('status', 'duration_ms', 'cost_usd', 'cost_note', 'response_timestamp')),
        response_payload_md5 = CASE WHEN response_payload_md5 IS NOT NULL THEN md5(runledger.no_outputs()::text) END
    WHERE generation_id = p_id;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    RETURN NEXT;
    -- Another generation that one of the runs settled before keeps what it says, under the pseudonym: so it is still
    -- found, and withdrawn, once the run's price is in this row.
    UPDATE runledger.settlements SET run_id = runledger.pseudonym_of(run_id)
    WHERE run_id = ANY (old_ids) AND generation_id <> p_id;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    IF row_count > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'runs';
    DELETE FROM runledger.run_outputs WHERE run_id = ANY (old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    table_name := 'run_outputs';
    action := 'deleted';
    RETURN NEXT;
    DELETE FROM runledger.run_other_statuses WHERE run_id = ANY (old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    table_name := 'run_other_statuses';
    RETURN NEXT;
    UPDATE runledger.runs SET
        run_id = runledger.pseudonym_of(run_id), finished_live_status = NULL, finished_error = NULL,
        latest_live_status = NULL, finished_other_boots = runledger.without_words(finished_other_boots)
    WHERE run_id = ANY (old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    table_name := 'runs';
    action := 'scrubbed';
    RETURN NEXT;

    table_name := 'webhook_events';
    UPDATE runledger.webhook_events SET
        run_id = runledger.pseudonym_of(run_id),
        body = runledger.scrubbed_body(event_type, status, runledger.pseudonym_of(run_id),
                                       (SELECT CASE jsonb_typeof(said.value -> 'progress') WHEN 'number' THEN said.value -> 'progress' END
                                        FROM runledger.try_jsonb(body) AS said))
    WHERE run_id = ANY (old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    RETURN NEXT;

    -- If a row's run can't be read, its bytes are searched for the id. A batch has events of others, too: `runledger
    -- forget` has taken this person's out of it before, and a batch whose frame it could not read goes as a whole.
    table_name := 'quarantine';
    UPDATE runledger.quarantine AS q SET
        run_id = CASE WHEN q.run_id = ANY (old_ids) THEN runledger.pseudonym_of(q.run_id) END,
        content = '',
        reason = split_part(q.reason, ':', 1)
    WHERE q.run_id = ANY (old_ids) OR q.run_id IS NULL AND runledger.mentions_run(q.content, old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    RETURN NEXT;
    UPDATE runledger.imported_documents SET generation_id = NULL, content_md5 = '' WHERE generation_id = p_id;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    IF row_count > 0 THEN
        table_name := 'imported_documents';
        RETURN NEXT;
    END IF;

    action := 'deleted';
    table_name := 'notifications';
    DELETE FROM runledger.notifications WHERE generation_id = p_id OR run_id = ANY (old_ids);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    row_count := row_count + runledger.forget_in_group(g);
    RETURN NEXT;

    -- Every other table with a run's id: neither costs nor books depend on it.
    FOR holder IN
        SELECT c.relname FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
              AND a.attname = 'run_id' AND NOT a.attisdropped
              AND c.relname NOT IN ('generations', 'settlements', 'runs', 'run_outputs', 'run_other_statuses',
                                    'webhook_events', 'quarantine', 'notifications', 'application_news')
        ORDER BY c.relname
    LOOP
        EXECUTE format('DELETE FROM runledger.%I WHERE run_id = ANY ($1)', holder.relname) USING old_ids;
        GET DIAGNOSTICS row_count = ROW_COUNT;
        table_name := holder.relname;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.forget_rows(bigint, text[]) IS
    'What forget_generation does to the generation and to everything about its runs, which runs_to_forget has given before; not to what is about its chats, and not to the news.';

CREATE OR REPLACE FUNCTION runledger.chats_named_by(p_generation_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        SELECT g.telegram_chat_id FROM runledger.generations AS g
        WHERE g.id = p_generation_id AND g.telegram_chat_id IS NOT NULL
        UNION
        SELECT whom.chat_id FROM runledger.generations AS g CROSS JOIN LATERAL runledger.recipients_of(g.metadata) AS whom
        WHERE g.id = p_generation_id AND whom.chat_id IS NOT NULL);
END
$$;
COMMENT ON FUNCTION runledger.chats_named_by(bigint) IS 'All chats that a generation names.';

CREATE OR REPLACE FUNCTION runledger.names_chat(metadata jsonb, p_chat_ids bigint[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said CONSTANT jsonb := runledger.said_in(metadata);
    is_elsewhere CONSTANT boolean := EXISTS (
        SELECT FROM runledger.recipients_of(said) AS whom WHERE whom.is_elsewhere);
    list jsonb;
BEGIN
    IF EXISTS (SELECT FROM runledger.recipients_of(said) AS whom WHERE whom.chat_id = ANY (p_chat_ids)) THEN
        RETURN true;
    END IF;
    -- A list can name more chats than get a message.
    FOREACH list IN ARRAY ARRAY[
        said -> 'telegramChatId', CASE WHEN NOT is_elsewhere THEN said -> 'notificationContext' -> 'chatId' END]
    LOOP
        IF jsonb_typeof(list) = 'array' AND EXISTS (
            SELECT FROM jsonb_array_elements_text(list) AS listed (entry)
            WHERE runledger.chat_named(regexp_replace(listed.entry, '[.]0+$', '')) = ANY (p_chat_ids)) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION runledger.names_chat(jsonb, bigint[]) IS
    'Whether metadata names one of these chats of Telegram, at any place of its lists.';

CREATE OR REPLACE FUNCTION runledger.chats_of_nobody(p_chat_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        SELECT named.chat FROM unnest(p_chat_ids) AS named (chat)
        WHERE NOT EXISTS (SELECT FROM runledger.generations AS other WHERE other.telegram_chat_id = named.chat)
              -- A chat that is not the first of a generation is found by the message to it.
              AND NOT EXISTS (
                  SELECT FROM runledger.notifications AS n JOIN runledger.generations AS other ON other.id = n.generation_id
                       CROSS JOIN LATERAL runledger.recipients_of(other.metadata) AS whom
                  WHERE n.chat_id = named.chat AND whom.chat_id = named.chat));
END
$$;
COMMENT ON FUNCTION runledger.chats_of_nobody(bigint[]) IS
    'Those of the chats that no generation names any more. Asked when the generation that named them is forgotten.';

CREATE OR REPLACE FUNCTION runledger.forget_generation(p_id bigint, OUT table_name text, OUT action text, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_ids CONSTANT text[] := runledger.runs_to_forget(p_id);
    chats CONSTANT bigint[] := runledger.chats_named_by(p_id);
    groups CONSTANT text[] := ARRAY(SELECT g.group_key FROM runledger.generations AS g WHERE g.id = p_id AND g.group_key IS NOT NULL);
BEGIN
    RETURN QUERY SELECT * FROM runledger.forget_rows(p_id, old_ids);
    IF FOUND THEN
        RETURN QUERY SELECT * FROM runledger.forget_chats_and_news(runledger.chats_of_nobody(chats), old_ids, groups);
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.forget_generation(bigint) IS
    'Removes the personal data of a generation from all tables, in one transaction. Returns the action and the number of rows for each table; no row: there is no such generation. Sums, times and statuses stay under the run''s pseudonym. Called by `runledger forget`.';

CREATE OR REPLACE FUNCTION runledger.forget_chats_and_news(
    p_chat_ids bigint[], p_run_ids text[], p_group_keys text[], OUT table_name text, OUT action text, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    holder record;
BEGIN
    action := 'deleted';
    FOR holder IN
        SELECT c.relname, a.attname FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
              AND a.attname IN ('chat_id', 'migrated_to') AND NOT a.attisdropped AND c.relname <> 'application_news'
              AND cardinality(p_chat_ids) > 0
        ORDER BY c.relname, a.attname
    LOOP
        EXECUTE format('DELETE FROM runledger.%I WHERE %I = ANY ($1)', holder.relname, holder.attname) USING p_chat_ids;
        GET DIAGNOSTICS row_count = ROW_COUNT;
        table_name := holder.relname;
        RETURN NEXT;
    END LOOP;
    -- Last, of all chats: whoever adds news has locked before what they are about, and then waits for this lock.
    PERFORM runledger.hold_news();
    DELETE FROM runledger.application_news AS n
    WHERE n.run_id = ANY (p_run_ids) OR n.chat_id = ANY (p_chat_ids)
          OR n.group_key = ANY (p_group_keys)
             AND NOT EXISTS (SELECT FROM runledger.generations AS other WHERE other.group_key = n.group_key);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    table_name := 'application_news';
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION runledger.forget_chats_and_news(bigint[], text[], text[]) IS
    'Deletes everything about these chats except their generations, and the news about them, about these runs, and about those of these groups that have no member any more. The last step of forgetting: nothing may be locked behind it.';

CREATE OR REPLACE FUNCTION runledger.forget_chat(p_chat_id bigint, OUT table_name text, OUT action text, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.wait_for_calls();
    RETURN QUERY SELECT * FROM runledger.forget_chats_and_news(ARRAY[p_chat_id], '{}', '{}');
END
$$;
COMMENT ON FUNCTION runledger.forget_chat(bigint) IS
    'Deletes everything about a chat except its generations: messages, and what Telegram said about it. Called by `runledger forget`.';

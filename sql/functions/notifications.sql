-- Writes notifications to the outbox.
CREATE OR REPLACE FUNCTION runledger.message_number_of(metadata jsonb, VARIADIC p_keys text[]) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
    digits text;
    said jsonb := runledger.said_in(metadata);
BEGIN
    FOREACH key IN ARRAY p_keys LOOP
        digits := said ->> key;
        IF jsonb_typeof(said -> key) = 'number' THEN
            digits := regexp_replace(digits, '\.0+$', '');
        END IF;
        IF digits ~ '^[0-9]{1,18}$' AND digits !~ '^0+$' AND jsonb_typeof(said -> key) IN ('number', 'string') THEN
            RETURN digits::bigint;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.message_number_of(jsonb, text[]) IS
    'The value of the first of these keys of metadata that is a positive whole number, as a number or a string of digits; NULL if none is. Never raises.';

CREATE OR REPLACE FUNCTION runledger.telegram_chat_now(p_chat_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    SELECT migrated_to INTO moved FROM runledger.telegram_chats WHERE chat_id = p_chat_id;
    RETURN coalesce(moved, p_chat_id);
END
$$;
COMMENT ON FUNCTION runledger.telegram_chat_now(bigint) IS
    'The current id of the chat: the group''s new one if it has moved. It follows one move; if a group has moved twice, Telegram reports the second move, which is then stored.';

CREATE OR REPLACE FUNCTION runledger.notice_payload(
    g runledger.generations, p_status text, p_reason text, p_duration_us bigint, p_cost numeric, p_note text,
    p_outputs jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'status', p_status, 'status_reason', p_reason, 'duration_ms', round(p_duration_us / 1000.0, 3),
        'cost_usd', p_cost, 'cost_note', p_note, 'outputs', p_outputs,
        'generation_id', runledger.handle_of(g.id, g.application_id::text),
        'message_thread_id', runledger.message_number_of(g.metadata, 'message_thread_id', 'telegramMessageThreadId'),
        'reply_to_message_id',
            runledger.message_number_of(g.metadata, 'reply_to_message_id', 'telegramMessageId'));
COMMENT ON FUNCTION runledger.notice_payload(runledger.generations, text, text, bigint, numeric, text, jsonb) IS
    'notifications.payload: the content of the message about a settlement, and its place in the chat.';

CREATE OR REPLACE FUNCTION runledger.withdrawn() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'the record names another run now';
COMMENT ON FUNCTION runledger.withdrawn() IS
    'last_error of a notification that was skipped because its row was reopened before it was sent.';

CREATE OR REPLACE FUNCTION runledger.is_corrected(n runledger.notifications) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM runledger.notifications AS later
                   WHERE later.generation_id = n.generation_id AND later.id > n.id AND later.kind = 'correction'
                         AND later.state IN ('pending', 'leased', 'sent', 'uncertain'));
COMMENT ON FUNCTION runledger.is_corrected(runledger.notifications) IS
    'Whether a later correction about the generation was sent, or is to be sent: this message must not come after it.';

CREATE OR REPLACE FUNCTION runledger.wake_outbox() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- As in tell_settled: a full notification queue would refuse the transaction. The outbox is read without it, too.
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('runledger_outbox', '');
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.wake_outbox() IS
    'NOTIFY runledger_outbox: notify looks at the outbox when this transaction commits; several in one transaction are one.';

CREATE OR REPLACE FUNCTION runledger.queue_endings(p_drafts runledger.settlement_draft[], p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_told boolean;
BEGIN
    WITH notified AS (
        -- Without a chat there is nobody to notify. For a malformed one there is a row that says so.
        INSERT INTO runledger.notifications (
            generation_id, run_id, kind, for_status, chat_id, payload, not_before, state, last_error)
        SELECT s.generation_id, s.run_id, 'ending', '', runledger.telegram_chat_now((draft.generation).telegram_chat_id),
               runledger.notice_payload(draft.generation, s.status, s.status_reason, s.duration_us, s.cost_usd,
                                        s.cost_note, draft.payload -> 'outputs'),
               CASE WHEN s.status = 'completed' AND s.output_count = 0 THEN now() + p_outputs_grace ELSE now() END,
               CASE WHEN (draft.generation).telegram_chat_id IS NULL THEN 'skipped' ELSE 'pending' END,
               CASE WHEN (draft.generation).telegram_chat_id IS NULL
                    THEN 'metadata.telegramChatId is neither a number nor a string of digits' END
        FROM runledger.each_of(p_drafts) AS draft CROSS JOIN LATERAL (SELECT (draft.settlement).*) AS s
        WHERE NOT s.keeps_status
          AND ((draft.generation).telegram_chat_id IS NOT NULL
               OR coalesce(jsonb_typeof(runledger.said_in((draft.generation).metadata) -> 'telegramChatId'), 'null') <> 'null')
        ORDER BY s.generation_id
        ON CONFLICT DO NOTHING
        RETURNING state
    )
    SELECT coalesce(bool_or(state = 'pending'), false) INTO is_told FROM notified;
    IF is_told THEN
        PERFORM runledger.wake_outbox();
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.queue_endings(runledger.settlement_draft[], interval) IS
    'Writes the notification of each of these first settlements to the outbox; none if the application had ended the row itself, or if there is no chat.';

CREATE OR REPLACE FUNCTION runledger.queue_notification(
    g runledger.generations, last runledger.settlements, p_status text, p_reason text, p_duration_us bigint,
    p_cost numeric, p_note text, p_outputs jsonb, p_output_count integer, p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told jsonb := runledger.notice_payload(g, p_status, p_reason, p_duration_us, p_cost, p_note, p_outputs);
    new_kind text;
    new_for_status text := '';
BEGIN
    IF p_status <> last.status THEN
        new_kind := 'correction';
        new_for_status := p_status;
    ELSIF p_output_count > last.output_count AND last.output_count = 0 AND p_status = 'completed' THEN
        new_kind := 'follow_up';
    ELSE
        RETURN;
    END IF;
    -- A message that is not sent yet gets the newer result instead, so nothing is sent twice.
    UPDATE runledger.notifications SET
        payload = told,
        not_before = CASE WHEN attempts = 0 THEN least(not_before, now()) ELSE not_before END
    WHERE generation_id = g.id AND state = 'pending' AND kind = 'ending' AND parts_sent = 0;
    IF NOT FOUND THEN
        IF g.telegram_chat_id IS NULL THEN
            RETURN;
        END IF;
        INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, not_before)
        VALUES (g.id, g.run_id, new_kind, new_for_status, runledger.telegram_chat_now(g.telegram_chat_id), told, now())
        ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
    END IF;
    PERFORM runledger.wake_outbox();
END
$$;
COMMENT ON FUNCTION runledger.queue_notification(
    runledger.generations, runledger.settlements, text, text, bigint, numeric, text, jsonb, integer, interval) IS
    'For a row that is settled again: puts the change into the message that is not sent yet, or into a new one. queue_endings writes the message of a first settlement.';

CREATE OR REPLACE FUNCTION runledger.skip_notification_of_adopted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM runledger.generations WHERE id = NEW.generation_id AND adopted_at IS NOT NULL) THEN
        NEW.state := 'skipped';
        NEW.last_error := 'the generation is older than the adoption of its table';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.skip_notification_of_adopted() IS
    'Makes a notification about an adopted generation skipped.';

-- Wakes the daemons, follows a group that has moved, and hands on where in the chat the message belongs.
CREATE FUNCTION runledger.message_number_of(metadata jsonb, VARIADIC p_keys text[]) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT (metadata ->> key)::bigint
        FROM unnest(p_keys) WITH ORDINALITY AS keys (key, place)
        WHERE jsonb_typeof(metadata -> key) IN ('number', 'string') AND metadata ->> key ~ '^[0-9]{1,18}$'
              AND metadata ->> key !~ '^0+$'
        ORDER BY place LIMIT 1);
COMMENT ON FUNCTION runledger.message_number_of(jsonb, text[]) IS
    'The first of these keys of metadata that holds a positive whole number, as a number or a string of digits; NULL where none does. Never raises.';

CREATE OR REPLACE FUNCTION runledger.queue_notification(
    g runledger.generations, last runledger.settlements, p_status text, p_reason text, p_duration_us bigint,
    p_cost numeric, p_note text, p_outputs jsonb, p_output_count integer, p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told jsonb := jsonb_build_object(
        'status', p_status, 'status_reason', p_reason, 'duration_ms', round(p_duration_us / 1000.0, 3),
        'cost_usd', p_cost, 'cost_note', p_note, 'outputs', p_outputs,
        'generation_id', g.id,
        'message_thread_id', runledger.message_number_of(g.metadata, 'message_thread_id', 'telegramMessageThreadId'),
        'reply_to_message_id',
            runledger.message_number_of(g.metadata, 'reply_to_message_id', 'telegramMessageId'));
    new_kind text;
    new_for_status text := '';
BEGIN
    IF last.id IS NULL THEN
        new_kind := 'ending';
    ELSIF p_status <> last.status THEN
        new_kind := 'correction';
        new_for_status := p_status;
    ELSIF p_output_count > last.output_count AND last.output_count = 0 AND p_status = 'completed' THEN
        new_kind := 'follow_up';
    ELSE
        RETURN;
    END IF;
    IF new_kind <> 'ending' THEN
        -- What waits unsent tells the newer truth instead, and nothing is said twice.
        UPDATE runledger.notifications SET
            payload = told,
            not_before = CASE WHEN attempts = 0 THEN least(not_before, now()) ELSE not_before END
        WHERE generation_id = g.id AND state = 'pending' AND kind = 'ending' AND parts_sent = 0;
        IF FOUND THEN
            PERFORM pg_notify('runledger_outbox', '');
            RETURN;
        END IF;
    END IF;
    IF g.telegram_chat_id IS NULL THEN
        -- Without a chat there is nobody to tell; one that can't be read is worth a row that says so.
        IF new_kind = 'ending' AND coalesce(jsonb_typeof(g.metadata -> 'telegramChatId'), 'null') <> 'null' THEN
            INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload, state, last_error)
            VALUES (g.id, g.run_id, new_kind, new_for_status, told, 'skipped',
                    'metadata.telegramChatId is neither a number nor a string of digits')
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN;
    END IF;
    INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, not_before)
    VALUES (g.id, g.run_id, new_kind, new_for_status, runledger.telegram_chat_now(g.telegram_chat_id), told,
            CASE WHEN new_kind = 'ending' AND p_status = 'completed' AND p_output_count = 0
                 THEN now() + p_outputs_grace ELSE now() END)
    ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
    -- Heard when this transaction has committed; several in one transaction are one.
    PERFORM pg_notify('runledger_outbox', '');
END
$$;

-- Writes notifications to the outbox.
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
        'hints', runledger.hints_of(g.metadata),
        'language', runledger.language_of(g.metadata));
COMMENT ON FUNCTION runledger.notice_payload(runledger.generations, text, text, bigint, numeric, text, jsonb) IS
    'notifications.payload: the content of the message about a settlement, without its place in each chat, which recipients_of gives.';

CREATE OR REPLACE FUNCTION runledger.newest_notice(n runledger.notifications) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g runledger.generations;
    s runledger.settlements;
BEGIN
    -- The rest of a message that has begun belongs to its beginning.
    IF n.parts_sent > 0 THEN
        RETURN n.payload;
    END IF;
    SELECT * INTO g FROM runledger.generations WHERE id = n.generation_id;
    s := runledger.last_settlement(n.generation_id);
    -- The row is gone, was given to another run, has an ending of the application's own, or was edited by hand.
    IF g.id IS NULL OR s.run_id IS DISTINCT FROM n.run_id OR s.outcome = 'reopened' OR s.keeps_status
       OR runledger.is_edited_by_hand(g, s) THEN
        RETURN n.payload;
    END IF;
    RETURN n.payload || runledger.notice_payload(g, s.status, s.status_reason, s.duration_us, s.cost_usd, s.cost_note,
                                                 g.response_payload -> 'outputs');
END
$$;
COMMENT ON FUNCTION runledger.newest_notice(runledger.notifications) IS
    'notifications.payload as the newest settlement of its run has it, for a message to a chat that is about to be sent; its place in the chat stays. Unchanged if a part of it was sent, or if no settlement says what the row says.';

CREATE OR REPLACE FUNCTION runledger.withdrawn() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'the record names another run now';
COMMENT ON FUNCTION runledger.withdrawn() IS
    'last_error of a notification that was skipped because its row was reopened before it was sent.';

CREATE OR REPLACE FUNCTION runledger.is_corrected(n runledger.notifications) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM runledger.notifications AS later
                   WHERE later.generation_id = n.generation_id AND later.id > n.id AND later.kind = 'correction'
                         AND later.channel = n.channel AND later.recipient = n.recipient AND later.state IN ('pending', 'leased', 'sent', 'uncertain'));
COMMENT ON FUNCTION runledger.is_corrected(runledger.notifications) IS
    'Whether a later correction about the generation was sent to the same recipient, or is to be sent: this message must not come after it.';

CREATE OR REPLACE FUNCTION runledger.wake_outbox() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.tell_listeners('runledger_outbox', '');  -- The outbox is read without it, too.
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
        -- Without a chat there is nobody to notify. For what is no chat there is a row that says so.
        INSERT INTO runledger.notifications (
            generation_id, run_id, kind, for_status, recipient, chat_id, payload, not_before, state, last_error)
        SELECT s.generation_id, s.run_id, 'ending', '', whom.recipient, runledger.telegram_chat_now(whom.chat_id),
               runledger.notice_payload(draft.generation, s.status, s.status_reason, s.duration_us, s.cost_usd,
                                        s.cost_note, CASE WHEN NOT whom.is_elsewhere THEN draft.payload -> 'outputs' END)
                   || whom.place,
               CASE WHEN s.status = 'completed' AND s.output_count = 0 THEN now() + p_outputs_grace ELSE now() END,
               CASE WHEN whom.is_elsewhere THEN 'elsewhere' WHEN whom.chat_id IS NULL THEN 'skipped' ELSE 'pending' END,
               whom.fault
        FROM runledger.each_of(p_drafts) AS draft CROSS JOIN LATERAL (SELECT (draft.settlement).*) AS s
             CROSS JOIN LATERAL runledger.recipients_of((draft.generation).metadata) AS whom
        WHERE NOT s.keeps_status
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
    'Writes the notifications of each of these first settlements to the outbox, one for each recipient; none if the application had ended the row itself, or if it names nobody.';

CREATE OR REPLACE FUNCTION runledger.queue_notification(
    g runledger.generations, last runledger.settlements, p_status text, p_reason text, p_duration_us bigint,
    p_cost numeric, p_note text, p_outputs jsonb, p_output_count integer, p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told jsonb := runledger.notice_payload(g, p_status, p_reason, p_duration_us, p_cost, p_note, p_outputs);
    new_kind text;
    new_for_status text := '';
    new_settlement_id bigint := 0;
    changed text[];
BEGIN
    IF p_status <> last.status THEN
        new_kind := 'correction';
        new_for_status := p_status;
        new_settlement_id := (runledger.last_settlement(g.id)).id;
    ELSIF p_output_count > last.output_count AND last.output_count = 0 AND p_status = 'completed' THEN
        new_kind := 'follow_up';
    ELSE
        RETURN;
    END IF;
    -- A message that is not sent yet gets the newer result instead, so nothing is sent twice. Its place stays.
    WITH newer AS (
        UPDATE runledger.notifications AS n SET
            payload = n.payload || told,
            not_before = CASE WHEN n.attempts = 0 THEN least(n.not_before, now()) ELSE n.not_before END
        WHERE n.generation_id = g.id AND n.run_id = g.run_id AND n.state = 'pending' AND n.kind = 'ending'
              AND n.parts_sent = 0
        RETURNING n.recipient
    )
    SELECT coalesce(array_agg(recipient), '{}') INTO changed FROM newer;
    -- The others get a message of its own: all of them, or beside one that has changed those that had an ending.
    INSERT INTO runledger.notifications (
        generation_id, run_id, kind, for_status, settlement_id, recipient, chat_id, payload, not_before)
    SELECT g.id, g.run_id, new_kind, new_for_status, new_settlement_id, whom.recipient,
           runledger.telegram_chat_now(whom.chat_id), told || whom.place, now()
    FROM runledger.recipients_of(g.metadata) AS whom
    WHERE whom.chat_id IS NOT NULL AND whom.recipient <> ALL (changed)
          AND (cardinality(changed) = 0
               OR EXISTS (SELECT FROM runledger.notifications AS earlier
                          WHERE earlier.generation_id = g.id AND earlier.run_id = g.run_id
                                AND earlier.kind = 'ending' AND earlier.recipient = whom.recipient))
    ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
    IF NOT FOUND AND cardinality(changed) = 0 THEN
        RETURN;
    END IF;
    PERFORM runledger.wake_outbox();
END
$$;
COMMENT ON FUNCTION runledger.queue_notification(
    runledger.generations, runledger.settlements, text, text, bigint, numeric, text, jsonb, integer, interval) IS
    'For a row that is settled again: puts the change into the messages that are not sent yet, or into new ones. queue_endings writes the message of a first settlement.';

CREATE OR REPLACE FUNCTION runledger.queue_late_corrections(p_generation_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g runledger.generations;
    s runledger.settlements := runledger.last_settlement(p_generation_id);
BEGIN
    SELECT * INTO g FROM runledger.generations WHERE id = p_generation_id;
    INSERT INTO runledger.notifications (
        generation_id, run_id, kind, for_status, settlement_id, recipient, chat_id, payload)
    SELECT g.id, g.run_id, 'correction', s.status, s.id, whom.recipient, runledger.telegram_chat_now(whom.chat_id),
           runledger.notice_payload(g, s.status, s.status_reason, s.duration_us, s.cost_usd, s.cost_note,
                                    g.response_payload -> 'outputs') || whom.place
    FROM runledger.recipients_of(g.metadata) AS whom
    CROSS JOIN LATERAL (
        SELECT n.payload ->> 'status' AS status FROM runledger.notifications AS n
        WHERE n.generation_id = g.id AND n.run_id = g.run_id AND n.recipient = whom.recipient
              AND n.kind IN ('ending', 'correction') AND n.channel = 'telegram'
        ORDER BY n.id DESC LIMIT 1) AS told
    WHERE whom.chat_id IS NOT NULL AND told.status IS DISTINCT FROM s.status
    ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
    IF FOUND THEN
        PERFORM runledger.wake_outbox();
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.queue_late_corrections(bigint) IS
    'For a row that has come back to a run about which it had a message: a correction to each recipient whom that message told another status.';

CREATE OR REPLACE FUNCTION runledger.skip_notification_of_adopted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM runledger.generations WHERE id = NEW.generation_id AND adopted_at IS NOT NULL) THEN
        NEW.state := 'skipped';
        NEW.last_error := 'the generation is older than the adoption of its table, or was imported as ended';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.skip_notification_of_adopted() IS
    'Makes a notification about an adopted generation skipped.';

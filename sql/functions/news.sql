-- News for the application: what keeps its rows or its messages back. Written by deferred triggers, so at COMMIT.
CREATE OR REPLACE FUNCTION runledger.hold_news() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.application_news', 0));
END
$$;
COMMENT ON FUNCTION runledger.hold_news() IS
    'Until the transaction ends, nobody else adds news. Take it behind all other locks.';

CREATE OR REPLACE FUNCTION runledger.add_news(
    p_kind text, p_generation_id bigint, p_run_id text, p_chat_id bigint, p_detail text,
    p_group_key text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    news_id bigint;
BEGIN
    -- Until this transaction has ended nobody else takes a number. So numbers become visible in their order, and an
    -- application that reads those above the last that it has seen misses none. No sequence: it would give numbers a
    -- second time if the database goes back to an earlier point.
    PERFORM runledger.hold_news();
    SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, max(n.id) + 1) INTO news_id
        FROM runledger.application_news AS n;
    -- A run can have been forgotten until then. Forgetting takes the lock behind all others, too.
    IF p_run_id IS NOT NULL AND EXISTS (SELECT FROM runledger.forgotten_runs
                                        WHERE run_digest = sha256(convert_to(p_run_id, 'UTF8'))) THEN
        RETURN;
    END IF;
    INSERT INTO runledger.application_news (id, kind, generation_id, run_id, chat_id, detail, group_key)
        VALUES (news_id, p_kind, p_generation_id, p_run_id, p_chat_id,
                left(coalesce(runledger.masked_links(p_detail), ''), 500), p_group_key);
    PERFORM runledger.tell_listeners('runledger_news', json_build_object(
        'news_id', news_id, 'kind', p_kind,
        'generation_id', coalesce((SELECT runledger.handle_of(g.id, g.application_id::text)
                                   FROM runledger.generations AS g WHERE g.id = p_generation_id),
                                  to_jsonb(p_generation_id)),
        'run_id', p_run_id,
        'chat_id', p_chat_id,
        'group_id', p_group_key)::text);
END
$$;
COMMENT ON FUNCTION runledger.add_news(text, bigint, text, bigint, text, text) IS
    'Adds a row to application_news and says NOTIFY runledger_news, {"news_id": …, "kind": …, "generation_id": …, "run_id": …, "chat_id": …, "group_id": …}, the generation by handle_of. Call it late in a transaction: others that add news wait for its end.';

CREATE OR REPLACE FUNCTION runledger.tell_unsent() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.add_news(
        CASE WHEN NEW.channel = 'webhook' THEN 'webhook_' || NEW.state
             WHEN NEW.state = 'skipped' THEN 'message_expired' ELSE 'message_' || NEW.state END,
        NEW.generation_id, NEW.run_id, NEW.chat_id, concat_ws(': ', NEW.webhook_host, NEW.last_error),
        CASE NEW.kind WHEN 'group' THEN NEW.group_key END);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.tell_unsent() IS
    'Tells the application that a message is dead, uncertain or expired, or that a webhook is dead. With its owner''s rights, because the role that gives up needs none on the news.';

CREATE OR REPLACE FUNCTION runledger.tell_refused_chat() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.hold_news();  -- The chat can be forgotten until then.
    -- Else it was forgotten. Each by an index: the message that was refused has not been sent.
    IF EXISTS (SELECT FROM runledger.generations WHERE telegram_chat_id = NEW.chat_id)
       OR EXISTS (SELECT FROM runledger.notifications WHERE chat_id = NEW.chat_id AND state IN ('uncertain', 'dead', 'skipped'))
       OR EXISTS (SELECT FROM runledger.notifications WHERE chat_id = NEW.chat_id AND state = 'leased')
       OR EXISTS (SELECT FROM runledger.notifications WHERE chat_id = NEW.chat_id AND state = 'pending') THEN
        PERFORM runledger.add_news('chat_refused', NULL, NULL, NEW.chat_id, NEW.last_error);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.tell_refused_chat() IS
    'Tells the application that Telegram refuses a chat. With its owner''s rights, likewise.';

CREATE OR REPLACE FUNCTION runledger.tell_refused_settlement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told text := left(runledger.masked_links(NEW.last_error), 500);
BEGIN
    -- A run can have several entries, each is tried again and again, and a lock may come in between: each error is told
    -- once a day.
    IF NOT EXISTS (SELECT FROM runledger.application_news AS n
                   WHERE n.run_id = NEW.run_id AND n.kind = 'settlement_refused' AND n.detail = told
                         AND n.happened_at > now() - interval '1 day') THEN
        PERFORM runledger.add_news('settlement_refused', g.id, NEW.run_id, NULL, NEW.last_error)
            FROM runledger.generations AS g WHERE g.run_id = NEW.run_id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.tell_refused_settlement() IS
    'Tells the application that its own trigger or constraint refuses the settlement of a row. With its owner''s rights, likewise.';

CREATE OR REPLACE FUNCTION runledger.tell_edited() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.add_news('edited_by_hand', NEW.generation_id, NEW.run_id, NULL, NEW.why);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.tell_edited() IS
    'Tells the application that a row is left as it is because it was edited by hand. With its owner''s rights, likewise.';

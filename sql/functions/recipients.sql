-- Whom metadata names: chats, and what is wrong where it names none. generations' generated columns use it, too, so
-- nothing here may raise.
CREATE OR REPLACE FUNCTION runledger.message_number_of(metadata jsonb, VARIADIC p_keys text[]) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
    digits text;
    said jsonb := runledger.said_in(metadata);
BEGIN
    FOREACH key IN ARRAY p_keys LOOP
        digits := said ->> key;
        CONTINUE WHEN octet_length(digits) > 64;
        IF jsonb_typeof(said -> key) = 'number' THEN
            digits := regexp_replace(digits, '[.]0+$', '');
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

CREATE OR REPLACE FUNCTION runledger.message_number_fault(p_object jsonb, p_path text, VARIADIC p_keys text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
BEGIN
    IF runledger.message_number_of(p_object, VARIADIC p_keys) IS NULL THEN
        FOREACH key IN ARRAY p_keys LOOP
            -- 0 and '' are how some applications write that there is none.
            IF coalesce(jsonb_typeof(p_object -> key), 'null') <> 'null'
               AND p_object -> key NOT IN (to_jsonb(0), to_jsonb('0'::text), to_jsonb(''::text)) THEN
                RETURN format('%s%s is no positive whole number', p_path, key);
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.message_number_fault(jsonb, text, text[]) IS
    'What is wrong with these keys of the object, if message_number_of finds no number in them; NULL: nothing, or there is none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.chat_named(p_text text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- Telegram's numbers have at most 52 bits, and chat_id_of takes 18 digits: a name's number is beyond both.
    RETURN CASE
        WHEN octet_length(p_text) > 64 THEN NULL
        WHEN p_text ~ '^-?[0-9]{1,18}$' THEN p_text::bigint
        WHEN p_text ~ '^@[A-Za-z][A-Za-z0-9_]{3,31}$'
            THEN -1000000000000000000 - ('x' || left(encode(sha256(convert_to(lower(p_text COLLATE "C"), 'UTF8')), 'hex'), 15))::bit(60)::bigint
    END;
COMMENT ON FUNCTION runledger.chat_named(text) IS
    'The number by which the ledger keeps the chat: of digits, Telegram''s own; of @channelname, one that stands for the name, below -10^18, where Telegram has none; of anything else, NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.may_name_more_chats(metadata jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_typeof(runledger.said_in(metadata) -> 'telegramChatId') IN ('array', 'string')
        OR jsonb_typeof(runledger.said_in(metadata) -> 'notificationContext') = 'object';
COMMENT ON FUNCTION runledger.may_name_more_chats(jsonb) IS
    'Whether metadata may name chats that chat_id_of does not return: several, or one by its name. Never raises.';

CREATE OR REPLACE FUNCTION runledger.chats_in(
    p_named jsonb, p_path text, OUT nth integer, OUT recipient text, OUT chat_id bigint, OUT fault text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chats_max CONSTANT integer := 20;
    is_list CONSTANT boolean := jsonb_typeof(p_named) = 'array';
    count CONSTANT integer := CASE WHEN is_list THEN jsonb_array_length(p_named)
                                   WHEN coalesce(jsonb_typeof(p_named), 'null') = 'null' THEN 0 ELSE 1 END;
    element jsonb;
BEGIN
    FOR i IN 0 .. least(count, chats_max) - 1 LOOP
        element := CASE WHEN is_list THEN p_named -> i ELSE p_named END;
        nth := i;
        recipient := element #>> '{}';
        chat_id := NULL;
        fault := NULL;
        IF jsonb_typeof(element) IN ('number', 'string') AND octet_length(recipient) <= 64 THEN
            IF jsonb_typeof(element) = 'number' THEN
                recipient := regexp_replace(recipient, '[.]0+$', '');
            END IF;
            chat_id := runledger.chat_named(recipient);
        END IF;
        IF chat_id IS NULL THEN
            recipient := p_path || CASE WHEN is_list THEN format('[%s]', i) ELSE '' END;
            fault := recipient || ' is no chat: neither a whole number, a string of digits nor @channelname';
        ELSIF recipient LIKE '@%' THEN
            recipient := lower(recipient COLLATE "C");
        ELSE
            recipient := chat_id::text;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF count > chats_max THEN
        nth := chats_max;
        recipient := p_path;
        chat_id := NULL;
        fault := format('%s has %s elements: those after the first %s get no message', p_path, count, chats_max);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.chats_in(jsonb, text) IS
    'The chats that a key of metadata holds, one or a list, in their order; for what is no chat, fault says so, and recipient is its path. Never raises.';

CREATE OR REPLACE FUNCTION runledger.recipients_of(
    metadata jsonb, OUT recipient text, OUT chat_id bigint, OUT place jsonb, OUT is_elsewhere boolean, OUT fault text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said CONSTANT jsonb := runledger.said_in(metadata);
    context jsonb := said -> 'notificationContext';
    platform text;
    thread bigint;
    reply bigint;
    left_out text;
BEGIN
    place := '{}';
    is_elsewhere := false;
    IF said ?| ARRAY['message_thread_id', 'telegramMessageThreadId', 'reply_to_message_id', 'telegramMessageId'] THEN
        thread := runledger.message_number_of(said, 'message_thread_id', 'telegramMessageThreadId');
        reply := runledger.message_number_of(said, 'reply_to_message_id', 'telegramMessageId');
        left_out := nullif(concat_ws('; ',
            runledger.message_number_fault(said, 'metadata.', 'message_thread_id', 'telegramMessageThreadId'),
            runledger.message_number_fault(said, 'metadata.', 'reply_to_message_id', 'telegramMessageId')), '');
    END IF;

    IF coalesce(jsonb_typeof(context), 'null') = 'null' THEN
        context := NULL;
    ELSIF jsonb_typeof(context) <> 'object' THEN
        context := NULL;
        recipient := 'metadata.notificationContext';
        fault := 'metadata.notificationContext is no object';
        RETURN NEXT;
    ELSIF coalesce(jsonb_typeof(context -> 'platform'), 'null') NOT IN ('null', 'string') THEN
        context := NULL;
        recipient := 'metadata.notificationContext.platform';
        fault := 'metadata.notificationContext.platform is no string';
        RETURN NEXT;
    ELSE
        platform := left(context ->> 'platform', 64);
        IF lower(platform COLLATE "C") NOT IN ('telegram', '') THEN
            context := NULL;
            recipient := 'platform ' || platform;  -- No chat's name, whatever the platform is called.
            is_elsewhere := true;
            RETURN NEXT;
        END IF;
    END IF;

    -- Most often one chat is named, or nobody: without the query below it takes a tenth of the time.
    IF context IS NULL AND coalesce(jsonb_typeof(said -> 'telegramChatId'), 'null') <> 'array' THEN
        SELECT c.recipient, c.chat_id, c.fault INTO recipient, chat_id, fault
            FROM runledger.chats_in(said -> 'telegramChatId', 'metadata.telegramChatId') AS c;
        IF FOUND THEN
            is_elsewhere := false;
            place := jsonb_strip_nulls(jsonb_build_object(
                'message_thread_id', thread, 'reply_to_message_id', reply, 'left_out', left_out));
            RETURN NEXT;
        END IF;
        RETURN;
    END IF;

    RETURN QUERY
        WITH beside (source, thread_id, reply_to, fault) AS (
            SELECT 1, thread, reply, left_out
            UNION ALL
            SELECT 2, runledger.message_number_of(context, 'messageThreadId'),
                   runledger.message_number_of(context, 'replyToMessageId'),
                   nullif(concat_ws('; ',
                       runledger.message_number_fault(context, 'metadata.notificationContext.', 'messageThreadId'),
                       runledger.message_number_fault(context, 'metadata.notificationContext.', 'replyToMessageId')), '')
            WHERE context IS NOT NULL
        ),
        listed AS (
            SELECT 1 AS source, c.* FROM runledger.chats_in(said -> 'telegramChatId', 'metadata.telegramChatId') AS c
            UNION ALL
            SELECT 2, c.* FROM runledger.chats_in(context -> 'chatId', 'metadata.notificationContext.chatId') AS c
        )
        SELECT l.recipient, l.chat_id,
               -- A thread and an answered message are one chat's: that of the key that they stand beside, the first if it
               -- holds several.
               jsonb_strip_nulls(jsonb_build_object(
                   'message_thread_id', (array_agg(b.thread_id ORDER BY l.source) FILTER (WHERE b.thread_id IS NOT NULL))[1],
                   'reply_to_message_id', (array_agg(b.reply_to ORDER BY l.source) FILTER (WHERE b.reply_to IS NOT NULL))[1],
                   'left_out', string_agg(b.fault, '; ' ORDER BY l.source))),
               false, l.fault
        FROM listed AS l LEFT JOIN beside AS b ON b.source = l.source AND l.nth = 0
        GROUP BY l.recipient, l.chat_id, l.fault
        ORDER BY min(l.source), min(l.nth);
END
$$;
COMMENT ON FUNCTION runledger.recipients_of(jsonb) IS
    'Whom metadata names, each once, in the order of telegramChatId and notificationContext.chatId: chat_id as of chat_named, place what notifications.payload says of its place in the chat. is_elsewhere: notificationContext names another platform, and recipient is platform and its name. fault: the key in recipient names nobody, and why. No row: nobody is named. Never raises.';

CREATE OR REPLACE FUNCTION runledger.hints_of(metadata jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bytes_max CONSTANT integer := 8192;
    hints jsonb := runledger.said_in(metadata) -> 'deliveryHints';
BEGIN
    IF coalesce(jsonb_typeof(hints), 'null') = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(hints) <> 'object' THEN
        RETURN to_jsonb('metadata.deliveryHints is no object'::text);
    END IF;
    hints := hints -> 'telegram';
    IF coalesce(jsonb_typeof(hints), 'null') = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(hints) <> 'object' THEN
        RETURN to_jsonb('metadata.deliveryHints.telegram is no object'::text);
    ELSIF octet_length(hints::text) > bytes_max THEN
        RETURN to_jsonb(format('metadata.deliveryHints.telegram has more than %s bytes', bytes_max));
    END IF;
    RETURN hints;
END
$$;
COMMENT ON FUNCTION runledger.hints_of(jsonb) IS
    'metadata.deliveryHints.telegram, the options of its messages; a text, if it cannot be used, that says why; NULL: there are none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.language_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(coalesce(runledger.said_in(metadata) -> 'notificationContext' ->> 'language',
                         runledger.said_in(metadata) -> 'notificationContext' ->> 'languageCode'), 64);
COMMENT ON FUNCTION runledger.language_of(jsonb) IS
    'metadata.notificationContext.language, or else languageCode, as text, whatever it is; the daemon reads it. NULL: there is none. Never raises.';

-- Keys of metadata: which of them group costs, and those that look like a mistake. generated_columns.sql takes the values.
CREATE OR REPLACE FUNCTION runledger.use_metadata_keys(p_column text, VARIADIC p_keys text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept text;
    caller record;
BEGIN
    IF runledger.metadata_keys(p_column) IS NULL THEN
        RAISE EXCEPTION 'use_metadata_keys: "%" is none of group_key, group_size, account_key, tool_key', p_column
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_keys IS NULL OR cardinality(p_keys) > 3 OR EXISTS (
        SELECT FROM unnest(p_keys) AS named (key) WHERE octet_length(named.key) NOT BETWEEN 1 AND 64 OR named.key IS NULL) THEN
        RAISE EXCEPTION 'use_metadata_keys: the keys % are not up to three, of 1 to 64 bytes each', p_keys
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT string_agg(format('WHEN %L THEN %L::text[]', name, CASE name
                          WHEN p_column THEN p_keys ELSE runledger.metadata_keys(name) END), ' ' ORDER BY place)
        INTO kept
        FROM unnest(ARRAY['group_key', 'group_size', 'account_key', 'tool_key']) WITH ORDINALITY AS n (name, place);
    EXECUTE format('CREATE OR REPLACE FUNCTION runledger.metadata_keys(p_column text) RETURNS text[] '
                   'LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE p_column %s END', kept);
    -- Sessions keep plans that have the keys of before in them, because the function is IMMUTABLE. Such a plan is made anew
    -- if a function that stood in its statement is altered: so each whose SQL calls this one is, to what it was.
    FOR caller IN
        WITH RECURSIVE callers AS (
            SELECT 'runledger.metadata_keys(text)'::regprocedure::oid AS oid
            UNION
            SELECT d.objid FROM callers JOIN pg_depend AS d ON d.refobjid = callers.oid
            WHERE d.refclassid = 'pg_proc'::regclass AND d.classid = 'pg_proc'::regclass)
        SELECT p.oid::regprocedure AS name, p.procost AS cost FROM callers JOIN pg_proc AS p ON p.oid = callers.oid
    LOOP
        EXECUTE format('ALTER ROUTINE %s COST %s', caller.name, caller.cost);
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.use_metadata_keys(text, text[]) IS
    'Chooses from which keys of metadata, up to three, the column group_key, group_size, account_key or tool_key of generations is taken; with VARIADIC ''{}'' from none. For the owner. It applies to rows that are inserted, or whose metadata is written, from then on; UPDATE … SET metadata = metadata takes the columns of older rows anew.';

CREATE OR REPLACE FUNCTION runledger.is_ended(status text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN status NOT IN ('pending', 'processing');
COMMENT ON FUNCTION runledger.is_ended(text) IS 'Whether a generation of this status has ended.';

CREATE OR REPLACE FUNCTION runledger.unusable_metadata(metadata jsonb, OUT key text, OUT column_name text, OUT reason text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said jsonb := runledger.said_in(metadata);
    kind text;
BEGIN
    IF metadata IS NULL THEN
        RETURN;
    END IF;
    IF jsonb_typeof(said) IS DISTINCT FROM 'object' THEN
        key := '';
        reason := 'metadata is no JSON object, and no string that holds one';
        RETURN NEXT;
        RETURN;
    END IF;
    column_name := 'telegram_chat_id';
    FOR key, reason IN
        SELECT regexp_replace(whom.recipient, '^metadata[.]', ''), regexp_replace(whom.fault, '^metadata[.][^ ]+ (is )?', '')
        FROM runledger.recipients_of(said) AS whom WHERE whom.fault IS NOT NULL
    LOOP
        RETURN NEXT;
    END LOOP;
    FOREACH column_name IN ARRAY ARRAY['run_id', 'group_key', 'group_size', 'account_key', 'tool_key'] LOOP
        FOREACH key IN ARRAY CASE column_name WHEN 'run_id' THEN '{run_id}'
                                  ELSE runledger.metadata_keys(column_name) END LOOP
            kind := jsonb_typeof(said -> key);
            CONTINUE WHEN kind IS NULL OR kind = 'null';
            CASE column_name
            WHEN 'group_size' THEN
                reason := CASE WHEN runledger.size_at(said, key) IS NULL THEN 'no whole number from 1 to 999999' END;
            ELSE
                reason := CASE WHEN kind IN ('array', 'object') THEN 'an ' || kind || ', not a string'
                               WHEN kind <> 'string' THEN 'a ' || kind || ', not a string'
                               WHEN said ->> key = '' THEN 'an empty string'
                               WHEN runledger.word_at(said, key) IS NULL THEN 'a string of more than 128 bytes' END;
            END CASE;
            IF reason IS NOT NULL THEN
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.unusable_metadata(jsonb) IS
    'The keys of metadata whose value no column can be taken from, the column, and the reason; an empty key stands for metadata as a whole. A missing key, and JSON''s null, are no fault. The values are not shown. Never raises.';

CREATE OR REPLACE FUNCTION runledger.metadata_words() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY['run_id', 'costRate', 'gpu', 'telegramChatId', 'message_thread_id', 'telegramMessageThreadId',
                 'reply_to_message_id', 'telegramMessageId', 'tokenCount', 'workflow', 'notificationContext',
                 'deliveryHints', 'webhookUrl']
        || runledger.metadata_keys('group_key') || runledger.metadata_keys('group_size')
        || runledger.metadata_keys('account_key') || runledger.metadata_keys('tool_key');
COMMENT ON FUNCTION runledger.metadata_words() IS 'The keys of metadata that mean something here.';

CREATE OR REPLACE FUNCTION runledger.looks_like(typed text, word text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    typed_left text := typed;
    word_left text := word;
BEGIN
    IF typed = word THEN
        RETURN true;
    END IF;
    IF abs(length(typed) - length(word)) > 1 THEN
        RETURN false;
    END IF;
    -- What is left without the common beginning and the common end is the difference.
    WHILE left(typed_left, 1) = left(word_left, 1) AND typed_left <> '' LOOP
        typed_left := substr(typed_left, 2);
        word_left := substr(word_left, 2);
    END LOOP;
    WHILE right(typed_left, 1) = right(word_left, 1) AND typed_left <> '' LOOP
        typed_left := left(typed_left, -1);
        word_left := left(word_left, -1);
    END LOOP;
    RETURN CASE
        WHEN length(typed_left) + length(word_left) = 1 THEN length(word) >= 4 OR word_left = ''
        -- In a short word another letter makes another word: cpu, gpu.
        WHEN length(typed_left) = 1 AND length(word_left) = 1 THEN length(word) >= 6
        ELSE length(typed_left) = 2 AND typed_left = reverse(word_left) END;
END
$$;
COMMENT ON FUNCTION runledger.looks_like(text, text) IS
    'Whether two keys, in lower case and without signs, are equal but for one letter too many, one too few (of four or more), another one (of six or more), or two that have changed places.';

CREATE OR REPLACE FUNCTION runledger.misspelt_keys(metadata jsonb, OUT key text, OUT meant text)
    RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said jsonb := runledger.said_in(metadata);
    words text[];
    bare text;
BEGIN
    IF jsonb_typeof(said) IS DISTINCT FROM 'object' THEN
        RETURN;
    END IF;
    words := runledger.metadata_words();
    FOR key IN SELECT named.key FROM jsonb_object_keys(said) AS named (key)
               WHERE named.key <> ALL (words) AND octet_length(named.key) <= 40 ORDER BY named.key LOOP
        bare := lower(regexp_replace(key, '[^[:alnum:]]', '', 'g'));
        -- If the right key is there, too, the other is the application's own.
        SELECT word INTO meant FROM unnest(words) AS known (word)
            WHERE NOT said ? word
              AND (runledger.looks_like(bare, lower(replace(word, '_', '')))
                   OR word = 'telegramChatId' AND bare IN ('chatid', 'telegramid', 'telegramchat', 'tgchatid'))
            ORDER BY bare <> lower(replace(word, '_', '')), word LIMIT 1;
        IF meant IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.misspelt_keys(jsonb) IS
    'The keys of metadata that look like a misspelling of one of runledger.metadata_words(), and the key that is meant. Never raises.';

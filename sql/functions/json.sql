-- Converts text to jsonb. The sender may have written values that jsonb can't hold.
CREATE OR REPLACE FUNCTION runledger.masked_json_word(word text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on AS $$
BEGIN
    IF word !~ '^(true|false|null|-?[0-9]{1,15}(\.[0-9]{1,15})?)$' THEN
        PERFORM word::jsonb;
    END IF;
    RETURN word;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN 'null';
END
$$;
COMMENT ON FUNCTION runledger.masked_json_word(text) IS
    'A number or literal of a JSON text; null instead of one that jsonb can''t hold: NaN, Infinity, a number beyond numeric.';

CREATE OR REPLACE FUNCTION runledger.masked_json_string(quoted text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on AS $$
BEGIN
    IF quoted !~ '\\u(0000|[dD][89a-fA-F])' THEN
        RETURN quoted;
    END IF;
    -- A pair of surrogates, one alone or U+0000, and everything else. The longest match counts.
    RETURN (
        SELECT string_agg(CASE WHEN part[2] IS NOT NULL THEN '\ufffd' ELSE coalesce(part[1], part[3]) END, '' ORDER BY place)
        FROM regexp_matches(quoted,
            '(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})|(\\.|[^\\]+)',
            'g') WITH ORDINALITY AS p (part, place));
END
$$;
COMMENT ON FUNCTION runledger.masked_json_string(text) IS
    'A string of a JSON text, with its quotes; U+FFFD instead of each escape that jsonb can''t hold: U+0000, half of a surrogate pair.';

CREATE OR REPLACE FUNCTION runledger.masked_json(body text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on AS $$
BEGIN
    RETURN (
        SELECT string_agg(CASE WHEN part[1] IS NOT NULL THEN runledger.masked_json_string(part[1])
                               WHEN part[2] IS NOT NULL THEN runledger.masked_json_word(part[2])
                               ELSE part[3] END, '' ORDER BY place)
        FROM regexp_matches(body, '("(?:[^"\\]|\\.)*")|([^][{}:,\s"]+)|([][{}:,\s]+)', 'g')
            WITH ORDINALITY AS p (part, place));
END
$$;
COMMENT ON FUNCTION runledger.masked_json(text) IS
    'A JSON text in which only those values are changed that jsonb can''t hold: null instead of a number, U+FFFD instead of a character.';

CREATE OR REPLACE FUNCTION runledger.try_jsonb(body text, OUT value jsonb, OUT reason text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    value := body::jsonb;
EXCEPTION
    -- Class 22, data exceptions: NaN, U+0000, a lone surrogate, a number beyond numeric; 54: too deep or too large.
    WHEN data_exception OR program_limit_exceeded THEN
        reason := SQLSTATE || ': ' || SQLERRM;
        BEGIN
            value := runledger.masked_json(body)::jsonb;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            value := NULL;
        END;
END
$$;
COMMENT ON FUNCTION runledger.try_jsonb(text) IS
    'The text as jsonb. If jsonb can''t hold all of it: with the values masked that it can''t hold, or NULL if that is not enough; and the reason. Never raises on data.';

CREATE OR REPLACE FUNCTION runledger.try_jsonb_all(p_texts text[], OUT value jsonb, OUT reason text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    converted jsonb[];
BEGIN
    BEGIN
        converted := ARRAY(SELECT given.body::jsonb FROM unnest(p_texts) WITH ORDINALITY AS given (body, place)
                           ORDER BY given.place);
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN QUERY
            SELECT attempt.value, attempt.reason
            FROM unnest(p_texts) WITH ORDINALITY AS given (body, place), runledger.try_jsonb(given.body) AS attempt
            ORDER BY given.place;
        RETURN;
    END;
    RETURN QUERY SELECT given.body, NULL::text FROM unnest(converted) AS given (body);
END
$$;
COMMENT ON FUNCTION runledger.try_jsonb_all(text[]) IS
    'try_jsonb for each, in order. In the usual case, in which jsonb can hold them all, this is one conversion.';

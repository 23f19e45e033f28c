-- A subtransaction for each output cost more than the conversion itself; now it is one for all of a turn.
CREATE FUNCTION runledger.try_jsonb_all(p_texts text[], OUT value jsonb, OUT reason text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
    'try_jsonb of each, in their order. The usual case, in which jsonb can hold them all, is one conversion.';

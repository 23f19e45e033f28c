-- The price of a run: where its rate comes from, and the one multiplication.
CREATE OR REPLACE FUNCTION runledger.gpu_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(runledger.said_in(metadata) -> 'gpu') = 'string'
             AND octet_length(runledger.said_in(metadata) ->> 'gpu') BETWEEN 1 AND 64
            THEN runledger.said_in(metadata) ->> 'gpu'
    END;
COMMENT ON FUNCTION runledger.gpu_of(jsonb) IS
    'metadata.gpu if it is a string of 1 to 64 bytes, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.unit_us(unit text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE unit WHEN 'second' THEN 1000000 WHEN 'minute' THEN 60000000 WHEN 'hour' THEN 3600000000 END;
COMMENT ON FUNCTION runledger.unit_us(text) IS
    'Microseconds of a rate''s unit: second, minute, hour. NULL for run and request, which are flat prices, for token, and for any other word.';

CREATE OR REPLACE FUNCTION runledger.token_count_of(metadata jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN runledger.said_in(metadata) ->> 'tokenCount'
             ~ CASE jsonb_typeof(runledger.said_in(metadata) -> 'tokenCount')
                   WHEN 'number' THEN '^[0-9]{1,18}(\.0+)?$' WHEN 'string' THEN '^[0-9]{1,18}$' END
            THEN split_part(runledger.said_in(metadata) ->> 'tokenCount', '.', 1)::bigint
    END;
COMMENT ON FUNCTION runledger.token_count_of(jsonb) IS
    'metadata.tokenCount if it is a whole number (1200, 1200.0) or a string of digits, of 1 to 18 digits, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.is_amount(said text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- Bounded before anybody converts it. A number's exponent is resolved by jsonb, a string's is not: "4e-05".
    RETURN said ~ '^-?[0-9]{1,40}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,2})?$';
COMMENT ON FUNCTION runledger.is_amount(text) IS
    'Whether a text is a decimal number, with or without an exponent, that the amount of a rate may be. NULL for NULL.';

CREATE OR REPLACE FUNCTION runledger.rate_of(
    metadata jsonb,
    OUT amount numeric, OUT unit text, OUT unit_us bigint, OUT note text, OUT token_count bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rate jsonb := runledger.said_in(metadata) -> 'costRate';
    amount_text text;
    value numeric;
BEGIN
    IF rate IS NULL OR jsonb_typeof(rate) = 'null' THEN
        note := 'rate_missing';
        RETURN;
    END IF;
    note := 'rate_malformed';  -- The application has been seen to store "error: …" here.
    IF jsonb_typeof(rate) <> 'object' OR jsonb_typeof(rate -> 'amount') IS NULL
       OR jsonb_typeof(rate -> 'amount') NOT IN ('number', 'string') THEN
        RETURN;
    END IF;
    amount_text := rate ->> 'amount';
    IF NOT runledger.is_amount(amount_text) THEN
        RETURN;
    END IF;
    value := trim_scale(amount_text::numeric);
    -- What runledger.cost_of divides exactly.
    IF abs(value) >= 1e12 OR scale(value) > 48 THEN
        RETURN;
    END IF;
    IF value < 0 THEN
        note := 'rate_negative';
        RETURN;
    END IF;
    IF rate ->> 'currency' IS DISTINCT FROM 'USD' THEN
        note := 'currency_not_usd';
        RETURN;
    END IF;
    CASE rate ->> 'unit'
        WHEN 'second', 'seconds' THEN unit := 'second';
        WHEN 'minute', 'minutes' THEN unit := 'minute';
        WHEN 'hour', 'hours' THEN unit := 'hour';
        WHEN 'run', 'fixed' THEN unit := 'run';
        WHEN 'request', 'requests' THEN unit := 'request';
        WHEN 'token', 'tokens' THEN
            -- A price without its count is no usable rate: nothing is copied, and a count that comes later prices the row.
            token_count := runledger.token_count_of(metadata);
            IF token_count IS NULL THEN
                note := CASE WHEN coalesce(jsonb_typeof(runledger.said_in(metadata) -> 'tokenCount'), 'null') = 'null'
                             THEN 'tokens_missing' ELSE 'tokens_malformed' END;
                RETURN;
            END IF;
            unit := 'token';
        ELSE
            note := 'unit_unknown';
            RETURN;
    END CASE;
    amount := value;
    unit_us := runledger.unit_us(unit);
    note := NULL;
END
$$;
COMMENT ON FUNCTION runledger.rate_of(jsonb) IS
    'The rate in metadata.costRate: amount in US dollars per unit, the unit''s microseconds (NULL for run and request, which are flat prices, and for token), and for token the count in metadata.tokenCount; or, if there is no usable rate, a note that says why and NULL for the rest. An amount is a number or a decimal string, below 10^12, with up to 48 decimals. Never raises.';

CREATE OR REPLACE FUNCTION runledger.rate_for(
    metadata jsonb, finished_at timestamptz,
    OUT amount numeric, OUT unit text, OUT source text, OUT gpu text, OUT note text, OUT token_count bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    said record;
BEGIN
    gpu := runledger.gpu_of(metadata);
    SELECT * INTO said FROM runledger.rate_of(metadata);
    IF said.amount IS NOT NULL THEN
        amount := said.amount;
        unit := said.unit;
        token_count := said.token_count;
        source := 'metadata';
    -- An unusable costRate is still the application's statement: gpu_rates apply only if there is none.
    ELSIF said.note <> 'rate_missing' OR gpu IS NULL THEN
        note := said.note;
    ELSE
        SELECT trim_scale(rate.usd_per_second) INTO amount
            FROM runledger.gpu_rates AS rate WHERE rate.gpu = gpu AND rate.effective @> finished_at;
        IF FOUND THEN
            unit := 'second';
            source := 'gpu_rates';
        ELSE
            note := 'gpu_rate_missing';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.rate_for(jsonb, timestamptz) IS
    'The rate of a run that ended at finished_at: metadata.costRate; if there is none, the rate of metadata.gpu in gpu_rates at that time. Without a usable rate, a note says why, and amount, unit and source are NULL.';

CREATE OR REPLACE FUNCTION runledger.cost_of(amount numeric, unit text, duration_us bigint, token_count bigint)
    RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- An amount has at most 48 decimals. Past the 48th and those of the unit's powers of ten, a quotient repeats one
    -- digit, never a 9; so its 64 decimals, rounded once more to 12, are what rounding the exact quotient gives.
    RETURN CASE unit
        WHEN 'run' THEN round(amount, 12)
        WHEN 'request' THEN round(amount, 12)
        WHEN 'token' THEN round(amount * token_count, 12)
        ELSE round(round(amount * duration_us, 64) / runledger.unit_us(unit), 12)
    END;
COMMENT ON FUNCTION runledger.cost_of(numeric, text, bigint, bigint) IS
    'round(amount × duration_us / unit_us, 12) in US dollars, half away from zero; the amount itself for the units run and request, and amount × token_count for token. NULL without a duration, or a count of tokens, that is needed.';

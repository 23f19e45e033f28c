-- What a GPU costs where the application says no rate of its own.

-- A trusted extension: whoever has CREATE on the database may make it. Where the owner has not, a DBA makes it before,
-- and this line then only says that it is there.
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE runledger.gpu_rates (
    gpu text COLLATE "C" NOT NULL,
    usd_per_second numeric NOT NULL,
    effective tstzrange NOT NULL,
    CONSTRAINT gpu_rates_pkey PRIMARY KEY (gpu, effective),
    CONSTRAINT gpu_rates_of_one_gpu_never_overlap EXCLUDE USING gist (gpu WITH =, effective WITH &&),
    CONSTRAINT gpu_rates_gpu_has_1_to_64_bytes CHECK (octet_length(gpu) BETWEEN 1 AND 64),
    -- NaN and Infinity are above any bound. The decimals are those that runledger.cost_of divides exactly.
    CONSTRAINT gpu_rates_amount_is_usable
        CHECK (usd_per_second >= 0 AND usd_per_second < 1e12 AND scale(trim_scale(usd_per_second)) <= 48),
    CONSTRAINT gpu_rates_effective_is_some_time CHECK (NOT isempty(effective))
);
COMMENT ON TABLE runledger.gpu_rates IS
    'US dollars per second of each GPU, by time. Used for a generation whose metadata has a gpu and no costRate: the rate in force when its run ended, copied at the settlement. Written by the operator; a change prices what is settled later, and `runledger reprice` what was settled before.';
COMMENT ON COLUMN runledger.gpu_rates.gpu IS 'As metadata.gpu says it, letter by letter.';
COMMENT ON COLUMN runledger.gpu_rates.usd_per_second IS 'US dollars per second, exact.';
COMMENT ON COLUMN runledger.gpu_rates.effective IS
    'When the rate is in force; an open end is for ever. No two ranges of one gpu overlap; between two there may be a gap, in which there is no rate.';

INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective) VALUES
    ('CPU', 0.00004, '(,)'),
    ('T4', 0.00018, '(,)'),
    ('L4', 0.00032, '(,)'),
    ('A10G', 0.000337, '(,)'),
    ('L40S', 0.000596, '(,)'),
    ('A100', 0.00114, '(,)'),
    ('A100-80GB', 0.001708, '(,)'),
    ('H100', 0.002338, '(,)'),
    ('H200', 0.001891, '(,)'),
    ('B200', 0.002604, '(,)');

CREATE FUNCTION runledger.gpu_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(metadata -> 'gpu') = 'string' AND octet_length(metadata ->> 'gpu') BETWEEN 1 AND 64
            THEN metadata ->> 'gpu'
    END;
COMMENT ON FUNCTION runledger.gpu_of(jsonb) IS
    'metadata.gpu if it is a string of 1 to 64 bytes, else NULL. Never raises.';

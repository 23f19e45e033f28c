-- The migration's constraints for an existing table: they apply from now on, and are validated later.
ALTER TABLE runledger.generations ALTER COLUMN adopted_at DROP DEFAULT;
ALTER TABLE runledger.generations ALTER COLUMN metadata SET DEFAULT '{}';
ALTER TABLE runledger.generations ALTER COLUMN request_timestamp SET DEFAULT now();
ALTER TABLE runledger.generations ALTER COLUMN status SET DEFAULT 'pending';
ALTER TABLE runledger.generations ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE runledger.generations
    ADD CONSTRAINT generations_status_is_known
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')) NOT VALID,
    ADD CONSTRAINT generations_duration_is_not_negative CHECK (duration_ms >= 0) NOT VALID,
    ADD CONSTRAINT generations_cost_is_not_negative CHECK (cost_usd >= 0) NOT VALID,
    ADD CONSTRAINT generations_duration_is_finite CHECK (duration_ms < 9e15) NOT VALID,
    ADD CONSTRAINT generations_cost_is_finite CHECK (cost_usd < 1e30) NOT VALID,
    ADD CONSTRAINT generations_times_are_of_1970_to_9999
        CHECK (request_timestamp BETWEEN '1970-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'
               AND response_timestamp BETWEEN '1970-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00') NOT VALID,
    ADD CONSTRAINT generations_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'provider_times', 'provider_times_missing', 'provider_times_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'tokens_missing', 'tokens_malformed', 'not_charged')) NOT VALID;

-- Its name comes last in the alphabet, so that it runs after the application's own triggers have changed metadata.
CREATE TRIGGER zz_runledger_keep_generated_columns
    BEFORE INSERT OR UPDATE ON runledger.generations
    FOR EACH ROW EXECUTE FUNCTION runledger.keep_generated_columns()

-- What the migration says of a new table, for one that is there: constraints hold from now on, and are validated later.
ALTER TABLE runledger.generations ALTER COLUMN adopted_at DROP DEFAULT;
ALTER TABLE runledger.generations ALTER COLUMN metadata SET DEFAULT '{}';
ALTER TABLE runledger.generations ALTER COLUMN request_timestamp SET DEFAULT now();
ALTER TABLE runledger.generations ALTER COLUMN status SET DEFAULT 'pending';
ALTER TABLE runledger.generations ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE runledger.generations
    ADD CONSTRAINT generations_status_is_known
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')) NOT VALID,
    ADD CONSTRAINT generations_duration_is_not_negative CHECK (duration_ms >= 0) NOT VALID,
    ADD CONSTRAINT generations_cost_is_not_negative CHECK (cost_usd >= 0) NOT VALID;

CREATE FUNCTION runledger.keep_generated_columns() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.run_id := runledger.run_id_of(NEW.metadata);
    NEW.telegram_chat_id := runledger.chat_id_of(NEW.metadata);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_generated_columns() IS
    'Keeps run_id and telegram_chat_id of a table that was adopted: they are generated columns elsewhere, which would have rewritten the table.';
-- Its name comes last in the alphabet, so that it sees what the application's own triggers have made of metadata.
CREATE TRIGGER zz_runledger_keep_generated_columns
    BEFORE INSERT OR UPDATE ON runledger.generations
    FOR EACH ROW EXECUTE FUNCTION runledger.keep_generated_columns()

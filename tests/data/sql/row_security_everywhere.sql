-- What a DBA does who wants row-level security on each new table of a database: an event trigger turns it on, and the
-- application gets a policy for the table that it writes. Run by a superuser.
CREATE FUNCTION public.secure_rows() RETURNS event_trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET default_transaction_read_only = off AS $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT c.oid::regclass AS name, c.relname FROM pg_event_trigger_ddl_commands() AS d JOIN pg_class AS c ON c.oid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND d.schema_name = 'runledger'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.name);
        IF made.relname IN ('generations', 'runs') THEN
            EXECUTE format('CREATE POLICY the_applications ON %s TO runledger_application USING (true) WITH CHECK (true)',
                           made.name);
        END IF;
    END LOOP;
END
$$;
CREATE EVENT TRIGGER secure_rows ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.secure_rows();

-- The schema, and what `runledger migrate` writes down about it. The four roles belong to the cluster and may be there
-- already: migrate makes those that are missing (sql/queries) before it comes here.
DO $$
BEGIN
    -- Checked first: an owner without CREATE on the database may still migrate a schema that a DBA made for it.
    IF to_regnamespace('runledger') IS NULL THEN
        CREATE SCHEMA runledger;
    END IF;
END
$$;
COMMENT ON SCHEMA runledger IS
    'ComfyDeploy runs: what was received, the state of each run, its duration and cost, and the messages about it. Written by runledgerd; generations is shared with the application that submits runs.';

CREATE TABLE runledger.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE runledger.schema_migrations IS 'Which migrations were applied, and when. Written by `runledger migrate`.';
COMMENT ON COLUMN runledger.schema_migrations.version IS 'The number in the file''s name.';
COMMENT ON COLUMN runledger.schema_migrations.name IS 'The file''s name.';
COMMENT ON COLUMN runledger.schema_migrations.applied_at IS 'The time of its transaction.';

CREATE TABLE runledger.schema_definitions (
    is_the_row boolean PRIMARY KEY DEFAULT true,
    digest text NOT NULL,
    defined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_definitions_has_one_row CHECK (is_the_row)
);
COMMENT ON TABLE runledger.schema_definitions IS
    'One row: which functions, views and triggers the schema has. Written by `runledger migrate`; the daemon compares it with its own when it starts.';
COMMENT ON COLUMN runledger.schema_definitions.is_the_row IS 'Always true: there is one row.';
COMMENT ON COLUMN runledger.schema_definitions.digest IS
    'XXH3-128, in hexadecimal, of the files that define the functions, views and triggers.';
COMMENT ON COLUMN runledger.schema_definitions.defined_at IS 'The time of the transaction that defined them.';

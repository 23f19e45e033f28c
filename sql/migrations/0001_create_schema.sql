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
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE runledger.schema_migrations IS 'Which migrations were applied, and when. Written by `runledger migrate`.';
COMMENT ON COLUMN runledger.schema_migrations.version IS 'The number in the file''s name.';
COMMENT ON COLUMN runledger.schema_migrations.name IS 'The file''s name.';
COMMENT ON COLUMN runledger.schema_migrations.digest IS
    'XXH3-128, in hexadecimal, of the file as it was applied: a build whose file is another refuses the database.';
COMMENT ON COLUMN runledger.schema_migrations.applied_at IS 'The time of its transaction.';

CREATE TABLE runledger.schema_definitions (
    is_the_row boolean PRIMARY KEY DEFAULT true,
    digest text NOT NULL,
    views text[] NOT NULL,
    routines text[] NOT NULL,
    defined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_definitions_has_one_row CHECK (is_the_row)
);
COMMENT ON TABLE runledger.schema_definitions IS
    'One row: which functions, views and triggers the schema has. Written by `runledger migrate`; the daemon compares it with its own when it starts.';
COMMENT ON COLUMN runledger.schema_definitions.is_the_row IS 'Always true: there is one row.';
COMMENT ON COLUMN runledger.schema_definitions.digest IS
    'XXH3-128, in hexadecimal, of the files that define the functions, views and triggers.';
COMMENT ON COLUMN runledger.schema_definitions.views IS
    'Which views they define: a later build that does not define one of them drops it.';
COMMENT ON COLUMN runledger.schema_definitions.routines IS 'Which functions they define, with the types of their arguments, likewise.';
COMMENT ON COLUMN runledger.schema_definitions.defined_at IS 'The time of the transaction that defined them.';

CREATE TABLE runledger.adoption (
    is_the_row boolean PRIMARY KEY DEFAULT true,
    table_name text NOT NULL,
    requested_at text[] NOT NULL DEFAULT '{}',
    ended_at text[] NOT NULL DEFAULT '{}',
    began_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT adoption_has_one_row CHECK (is_the_row)
);
COMMENT ON TABLE runledger.adoption IS
    'One row if generations was an application''s own table; it says how the rows that were there are filled, so that an interrupted adoption goes on. Written by `runledger migrate --adopt`.';
COMMENT ON COLUMN runledger.adoption.is_the_row IS 'Always true: there is one row.';
COMMENT ON COLUMN runledger.adoption.table_name IS 'The name that the table had, quoted; the view has it now.';
COMMENT ON COLUMN runledger.adoption.requested_at IS
    'Columns of the table, as generations names them; the first that is not NULL gave a row its request_timestamp.';
COMMENT ON COLUMN runledger.adoption.ended_at IS
    'The same for response_timestamp, of rows that had ended.';
COMMENT ON COLUMN runledger.adoption.began_at IS 'When the table became generations.';
COMMENT ON COLUMN runledger.adoption.finished_at IS 'When all rows were filled and all indexes built; NULL: not yet.';

CREATE TABLE runledger.status_words (
    word text PRIMARY KEY,
    status text NOT NULL,
    is_written boolean NOT NULL DEFAULT false,
    is_kept boolean NOT NULL DEFAULT false,
    CONSTRAINT status_words_status_is_known
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled'))
);
CREATE UNIQUE INDEX status_words_written_idx ON runledger.status_words (status) WHERE is_written;
COMMENT ON INDEX runledger.status_words_written_idx IS 'One word is written for a status.';
COMMENT ON TABLE runledger.status_words IS
    'What the status words of an adopted application mean. Written by `runledger migrate --adopt --status-words`, and by the operator for words that come later.';
COMMENT ON COLUMN runledger.status_words.word IS 'As the application writes it.';
COMMENT ON COLUMN runledger.status_words.status IS 'generations.status of a row with this word.';
COMMENT ON COLUMN runledger.status_words.is_written IS
    'The application''s column gets this word when the daemon gives the row this status.';
COMMENT ON COLUMN runledger.status_words.is_kept IS
    'The daemon never replaces this word, whatever status it gives the row.';

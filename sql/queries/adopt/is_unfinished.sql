-- Whether generations was adopted and its rows are not filled yet, or its index not built.
SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger
               WHERE tgrelid = to_regclass('runledger.generations') AND tgname = 'zz_runledger_keep_generated_columns')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint
                       WHERE conrelid = to_regclass('runledger.generations') AND conname = 'generations_run_id_unique')

-- Until the transaction ends, the rights are those of runledger_reader, if the login may have them; else its own. In
-- both cases the queries of this folder name only views.
SELECT set_config('role', 'runledger_reader', true)
WHERE pg_has_role('runledger_reader', 'MEMBER')

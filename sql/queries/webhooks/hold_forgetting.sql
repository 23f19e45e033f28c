-- Forgetting takes this lock exclusively: until this transaction has ended nobody is forgotten, and the next statement
-- sees everybody who was. false: somebody is being forgotten.
SELECT pg_try_advisory_xact_lock_shared(hashtextextended('runledger.forget', 0))

-- Whether this daemon may maintain: one of several at a time, until the transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('runledger.maintain', 0))

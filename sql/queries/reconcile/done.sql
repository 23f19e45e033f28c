-- $1 run. Its ending is stored in the same transaction.
DELETE FROM runledger.reconcile_lookups WHERE run_id = $1

-- What the books have applied or operators have replayed, what the runs have counted, and what deleted runs had counted.
SELECT (SELECT coalesce(sum(applied), 0) FROM runledger.ledger_days_v1)
           + (SELECT count(*) FROM runledger.ledger_replays),
       (SELECT coalesce(sum(event_count), 0) FROM runledger.runs),
       (SELECT coalesce(sum(events), 0) FROM runledger.ledger_removals WHERE from_table = 'runs')

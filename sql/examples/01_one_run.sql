-- What did this run cost, at what rate, measured by which clock?
SELECT * FROM runledger.run_costs_v1 WHERE run_id = 'a1d0c6e8-3f02-7327-d846-1063f4ac58a6';

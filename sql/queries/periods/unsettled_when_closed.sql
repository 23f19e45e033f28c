-- $1 text month. How many runs were waiting when it was closed; no row: it is not closed.
SELECT p.unsettled FROM runledger.closed_periods_v1 AS p WHERE p.period = $1::text

-- $1 text month. The bounds of a month that may be closed now; refused if it may not.
SELECT b.begins_at, b.ends_at FROM runledger.period_to_close($1::text) AS b

-- $1 text month, $2 boolean: also with runs that wait to be settled. Closes the month; false: it was closed before.
SELECT c.is_new FROM runledger.close_period($1::text, $2::boolean) AS c

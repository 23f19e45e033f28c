-- $1 date.
SELECT runledger.make_event_day($1::date)

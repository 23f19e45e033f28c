-- $1 date.
SELECT runledger.drop_event_day($1::date)

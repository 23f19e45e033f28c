-- $1 what, $2 integer days, $3 integer rows at most, $4 timestamptz where the step before ended, $5 boolean whether to wait
-- for an apply turn that is under way.
SELECT removed, looked_at, up_to
FROM runledger.remove_expired($1, $2::integer, $3::integer, $4::timestamptz, $5::boolean)
